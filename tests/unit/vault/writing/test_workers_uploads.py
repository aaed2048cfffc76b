"""A worker process sends as many packs at the same time as its store takes from each."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from pathlib import Path

import pytest
from tests.remembering import KeptStates

from tallac.app.locations.distant_store import DistantStore
from tallac.app.locations.urls import parse_location
from tallac.backends.local import LocalBackend
from tallac.backends.memory import MemoryBackend
from tallac.backends.remembering import RememberingBackend
from tallac.backends.store_cache import StoreCache
from tallac.backends.traffic import Traffic
from tallac.interfaces import Buffer
from tallac.testing.sample_vault import noise
from tallac.vault.packs.pack_writer import SHUFFLED_SIZE, worker_uploads_max
from tallac.vault.vault import create_vault, open_vault
from tallac.vault.writing.worker_batch import VaultRecipe

MEETING_SECONDS = 20
UPLOADS = 2
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
        self._meeting = threading.Barrier(UPLOADS)

    def upload(self) -> _Upload:  # type: ignore[override]  # Both are uploads.
        return _Upload(self._meeting)


def test_a_worker_fills_a_line_too(tmp_path: Path) -> None:
    """While the answer about one pack of a worker is on its way over a line, the worker sends the next one."""
    (tmp_path / "vault").mkdir()
    store = LocalBackend(tmp_path / "vault")
    key = create_vault(store)
    vault = open_vault(RememberingBackend(store, KeptStates(), worker_uploads=UPLOADS), key, state=tmp_path / "state")
    with vault.session() as session, session.writing() as writer:
        recipe = writer.worker_recipe()
        assert isinstance(recipe, VaultRecipe)
        sent = dataclasses.replace(pickle.loads(pickle.dumps(recipe)), backend=_Meeting())  # noqa: S301 - made here.
        with sent.open() as worker:
            for number in range(SHUFFLED_SIZE // CHUNK_SIZE + 1):
                worker.put_chunk(noise(number, CHUNK_SIZE))
            worker.finish()


@pytest.mark.parametrize(("url", "uploads"), [("sftp://localhost/vault", 2), ("s3://bucket/vault", 1)])
def test_where_a_pack_is_sent_in_one_piece_a_worker_sends_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, uploads: int
) -> None:
    """Two at a time are for a store in which a pack is several waits; elsewhere they would be in memory for nothing."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    traffic = Traffic()
    store = DistantStore(parse_location(url), tmp_path, traffic, StoreCache(tmp_path / "cache", url, 0))
    try:
        assert worker_uploads_max(store.backend) == uploads
    finally:
        store.remove_shared()
        traffic.remove()
