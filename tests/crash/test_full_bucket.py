"""An object store that is full from some moment on, or may only be read: nothing is lost, and reading works all the same."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.crash.test_backend_boundaries import FIRST, SECOND, THIRD, archived, fresh

from tallac.caps import MutableDirectoryWrite
from tallac.errors import StoreFullError, StorePermissionError
from tallac.testing.bucket import Bucket, FullLine, ReadOnlyLine
from tallac.testing.sample_vault import back_up, create_target, flatten, noise
from tallac.vault.format.keys import WriterKey
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import create_vault, open_vault

EVERYTHING = PruneOptions(unused_max=0, fence_after_seconds=0)


class Begun:
    """A bucket with a vault of one snapshot, and a file that a prune takes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bucket = Bucket()
        self.key: WriterKey = create_vault(self.bucket.backend())
        vault = fresh(self.bucket.backend(), self.key, folder)
        target = create_target(vault)
        assert isinstance(target, MutableDirectoryWrite)
        self.target = target
        back_up(vault, target, b"1", FIRST)
        with vault.session() as session, session.writing() as writer:
            # Nothing leads to it.
            writer.put_file(io.BytesIO(noise(9, 300_000)))

    def require_whole(self, *, is_read_only: bool = False) -> None:
        """Assert that the first snapshot restores and checks find no damage, on a line that lets nothing be written if so asked."""
        vault = fresh(self.bucket.backend(ReadOnlyLine() if is_read_only else None), self.key, self.folder)
        assert archived(vault, self.target, b"1") == dict(flatten(FIRST))
        assert vault.check(self.target.read_cap, read_data=True).findings == []
        structure = vault.check_structure(read_data=True)
        assert structure.is_healthy, structure.findings


def test_a_quota_that_is_used_up_at_any_moment(tmp_path: Path) -> None:
    """From whichever put on there is no room: the backup says so, earlier ones are whole, and the next one works once there is."""
    begun = Begun(tmp_path)
    before = begun.bucket.snapshot()
    for puts in range(100):
        begun.bucket.restore(before)
        try:
            back_up(fresh(begun.bucket.backend(FullLine(puts)), begun.key, tmp_path), begun.target, b"2", SECOND)
        except StoreFullError as error:
            assert "full" in str(error)
        else:
            break
        begun.require_whole(is_read_only=True)
        vault = fresh(begun.bucket.backend(), begun.key, tmp_path)
        back_up(vault, begun.target, b"3", THIRD)
        assert archived(vault, begun.target, b"3") == dict(flatten(THIRD))
        begun.require_whole()
    else:
        pytest.fail("a backup takes a hundred puts")
    assert puts >= 6


def test_a_prune_that_finds_no_room(tmp_path: Path) -> None:
    """From whichever put on there is no room: a prune says so or ends, and takes nothing that is in use."""
    begun = Begun(tmp_path)
    before = begun.bucket.snapshot()
    for puts in range(100):
        begun.bucket.restore(before)
        backend = begun.bucket.backend(FullLine(puts))
        try:
            with open_vault(backend, begun.key.keeper_key, state=tmp_path / f"keeper-{puts}") as vault:
                Prune(vault.components, EVERYTHING).run()
        except StoreFullError:
            begun.require_whole(is_read_only=True)
        else:
            break
    else:
        pytest.fail("a prune takes a hundred puts")
    assert puts >= 2
    begun.require_whole()


def test_a_store_that_may_only_be_read(tmp_path: Path) -> None:
    """Restore and check work without a put or a delete; a backup and a prune say that they may not, and change nothing."""
    begun = Begun(tmp_path)
    before = begun.bucket.snapshot()
    begun.require_whole(is_read_only=True)
    with pytest.raises(StorePermissionError):
        back_up(fresh(begun.bucket.backend(ReadOnlyLine()), begun.key, tmp_path), begun.target, b"2", SECOND)
    with (
        pytest.raises(StorePermissionError),
        open_vault(begun.bucket.backend(ReadOnlyLine()), begun.key.keeper_key, state=tmp_path / "keeper") as vault,
    ):
        Prune(vault.components, EVERYTHING).run()
    assert begun.bucket.snapshot() == before
