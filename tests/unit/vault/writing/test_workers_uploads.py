"""A worker process sends as many packs at the same time as the process that started it."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from pathlib import Path

from tests.remembering import remembering

from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.interfaces import Buffer
from tallac.testing.sample_vault import noise
from tallac.vault.packs.pack_writer import DISTANT_UPLOADS, SHUFFLED_SIZE
from tallac.vault.vault import create_vault, open_vault
from tallac.vault.writing.worker_batch import VaultRecipe

MEETING_SECONDS = 20
CHUNK_SIZE = 256 << 10


class _Upload:
    """An upload that ends only together with another one."""

    def __init__(self, meeting: threading.Barrier) -> None:
        self._meeting = meeting

    def write(self, data: Buffer) -> None:
        """Take nothing."""

    def commit(self, name: str) -> None:
        """Wait for the other one."""
        self._meeting.wait(MEETING_SECONDS)

    def abort(self) -> None:
        """Have nothing to give up."""


class _Meeting(MemoryBackend):
    """What a worker is given of a distant store: it is asked for packs alone, and can do nothing else that such a store can."""

    def __init__(self) -> None:
        super().__init__()
        self._meeting = threading.Barrier(DISTANT_UPLOADS)

    def upload(self) -> _Upload:  # type: ignore[override]  # Both are uploads.
        return _Upload(self._meeting)


def test_a_worker_fills_a_line_too(tmp_path: Path) -> None:
    """While the answer about one pack of a worker is on its way over a line, the worker sends the next one."""
    (tmp_path / "vault").mkdir()
    store = LocalBackend(tmp_path / "vault")
    key = create_vault(store)
    vault = open_vault(remembering(store, store), key, state=tmp_path / "state")
    with vault.session() as session, session.writing() as writer:
        recipe = writer.worker_recipe()
        assert isinstance(recipe, VaultRecipe)
        sent = dataclasses.replace(pickle.loads(pickle.dumps(recipe)), backend=_Meeting())  # noqa: S301 - made here.
        with sent.open() as worker:
            for number in range(SHUFFLED_SIZE // CHUNK_SIZE + 1):
                worker.put_chunk(noise(number, CHUNK_SIZE))
            worker.finish()
