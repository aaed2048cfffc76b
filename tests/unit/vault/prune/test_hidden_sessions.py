"""Stores whose listings never show a session: what is linked is whole all the same."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.vault.prune.test_prune import FIRST, SECOND, Place

from tallac.backends.local import LocalBackend
from tallac.caps import DirectoryWriteCap, MutableDirectoryWrite
from tallac.dag import Entry, Metadata, snapshot_name
from tallac.errors import FencedError, StoreFullError
from tallac.interfaces import Backend, Buffer, Expect, Item, Version
from tallac.retention.forget import forget_named, undo, without_lost_entries
from tallac.retention.marks import hold
from tallac.retention.record import RetentionRecord
from tallac.retention.target import Target as RetentionTarget
from tallac.testing.determinism import FakeClock
from tallac.testing.recording_backend import RecordingBackend
from tallac.testing.sample_vault import back_up, create_target, enter, noise, put_tree
from tallac.transfer.files import put_file
from tallac.transfer.place import Place as Target
from tallac.transfer.report import CopyReport
from tallac.transfer.upload import copy_to_grid
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions, PruneReport
from tallac.vault.vault import Vault, create_vault, open_vault


class HidingBackend(RecordingBackend):
    """A backend whose listings leave out all sessions."""

    def list(self, prefix: str) -> Iterator[Item]:
        return (item for item in super().list(prefix) if not item.name.startswith("sessions/"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Make a vault with something to prune."""
    return Place(tmp_path)


def test_what_was_taken_is_noticed_after_the_edit(place: Place) -> None:
    """A writer that slept between commit and edit, and that no listing showed, notices at its end; stored again, all is whole."""

    def sleep_before_the_edit() -> None:
        with vault.session() as session:
            with session.writing() as writer:
                cap = put_tree(writer, FIRST)
            session.commit([cap])
            assert place.prune(backend=HidingBackend(place.backend)).deleted_packs
            vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])

    with place.open() as vault:
        with pytest.raises(FencedError, match="a prune deleted it"):
            sleep_before_the_edit()
        assert not vault.check(place.target, read_data=False).is_healthy
        back_up(vault, place.target, b"4", FIRST)
    place.look(s2=SECOND, s3=FIRST, s4=FIRST)


def test_what_is_proposed_after_the_commit_is_rescued(place: Place) -> None:
    """Where the prune has only proposed by the time of the edit, the writer takes it out, and the decision comes too late."""
    stopped: list[int] = []

    class Stopping(HidingBackend):
        def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
            version = super().put(name, data, expect=expect)
            if name == "registers/quarantine" and not stopped:
                stopped.append(1)
                finish()
            return version

    def finish() -> None:
        vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])
        session.confirm()

    with place.open() as vault, vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, FIRST)
        session.commit([cap])
        place.prune(backend=Stopping(place.backend))
    assert stopped
    place.look(s2=SECOND, s3=FIRST)


@pytest.fixture
def folder_vault(tmp_path: Path) -> Iterator[tuple[Vault, Target, Callable[[], None]]]:
    """Give a vault in a folder, a place in it, and what another client's prune does that waits for nobody."""
    backend: Backend = LocalBackend(tmp_path / "vault")
    LocalBackend(tmp_path / "vault").create()
    key = create_vault(backend)

    def prune() -> None:
        with open_vault(backend, key.keeper_key, state=tmp_path / "keeper") as keeper:
            Prune(keeper.components, PruneOptions(unused_max=0, fence_after_seconds=0)).run()

    with open_vault(backend, key, state=tmp_path / "state") as vault:
        root = create_target(vault)
        with vault.session() as session, session.writing() as writer:
            put_tree(writer, {b"dead": noise(1, 100_000)})  # There is something to prune, so that it waits.
        yield vault, Target(root, (), "v:"), prune


def interrupting(prune: Callable[[], None], seen: list[int]) -> CopyReport:
    """Give a report that lets a prune take over when something has been copied, and notes how many bytes were."""

    def progress(report: CopyReport) -> None:
        seen.append(report.bytes)
        if len(seen) == 1:
            prune()

    return CopyReport(progress=progress)


def test_a_put_in_a_folder_that_a_prune_fenced(folder_vault: tuple[Vault, Target, Callable[[], None]]) -> None:
    """A prune that takes over while a file is put into a vault in a folder makes it be stored once more."""
    vault, root, prune = folder_vault
    content = noise(5, 300_000)
    seen: list[int] = []
    put_file(vault, root.child(b"file"), io.BytesIO(content), Metadata(), report=interrupting(prune, seen))
    # Each attempt tells of it twice: when it has read all, and at the stream's end.
    assert seen.count(len(content)) == 4
    cap = next(entry.cap for entry in vault.edit_directory(_write(root), lambda entries: entries) if entry.name == b"file")
    assert vault.check(cap, read_data=True).is_healthy


def test_a_copy_in_a_folder_that_a_prune_fenced(folder_vault: tuple[Vault, Target, Callable[[], None]], tmp_path: Path) -> None:
    """The same with a copy of a folder."""
    vault, root, prune = folder_vault
    (tmp_path / "source").mkdir()
    for number in range(3):
        (tmp_path / "source" / f"{number}").write_bytes(noise(number, 50_000))
    seen: list[int] = []
    report = interrupting(prune, seen)
    copy_to_grid(vault, [tmp_path / "source"], root, recursive=True, into=True, report=report)
    assert (report.files, report.is_complete) == (3, True)
    assert sorted(seen) != seen  # It began anew.
    assert vault.check(_write(root).read_cap, read_data=True).is_healthy


def _write(root: Target) -> MutableDirectoryWrite:
    assert isinstance(root.cap, MutableDirectoryWrite)
    return root.cap


def test_a_session_that_is_removed_though_it_was_committed(place: Place) -> None:
    """Where a full store takes no fence, and the removal in its place comes after the commit: nothing that is linked is missing."""
    removed: list[str] = []

    class Late(RecordingBackend):
        """A store that reads what is to be deleted in a certain state, and removes it without looking again."""

        def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
            if name.startswith("sessions/"):
                raise StoreFullError("full")
            return super().put(name, data, expect=expect)

        def delete(self, name: str, *, expect: Version | None = None) -> None:
            if name.startswith("sessions/"):
                session.commit([cap])
                removed.append(name)
                expect = None
            super().delete(name, expect=expect)

    with place.open() as vault, vault.session() as session:
        with session.writing() as writer:
            cap = put_tree(writer, FIRST)
        # What it found is what the prune proposes; it is taken out again before anything is decided.
        place.prune(backend=Late(place.backend))
        vault.edit_directory(place.archives(vault), lambda entries: [*entries, Entry.of(b"3", cap)])
        session.confirm()
    assert removed
    place.look(s2=SECOND, s3=FIRST)


def test_an_undo_leaves_nothing_linked_that_a_prune_took(place: Place, tmp_path: Path) -> None:
    """What an undo has entered goes again where a prune has taken some of it meanwhile; the next undo names it."""
    clock = FakeClock()
    old, new = snapshot_name(0), snapshot_name(1_000_000_000)
    with place.open() as vault, RetentionRecord(tmp_path / "retention.db") as record:
        archives = place.archives(vault)
        target = RetentionTarget(place.target, archives, "v:")
        vault.edit_directory(archives, lambda _: [])
        enter(vault, place.target, old, place.first)
        enter(vault, place.target, new, place.second)
        forget_named(vault, target, [old], frozenset(), record, clock, allow_empty=True)
        edit, edits, reports = vault.edit_directory, list[DirectoryWriteCap](), list[PruneReport]()

        def sleep_before_the_edit(cap: DirectoryWriteCap, change: Callable[[list[Entry]], list[Entry]]) -> list[Entry]:
            # The first one is how the undo reads.
            edits.append(cap)
            if len(edits) == 2:
                reports.append(place.prune(backend=HidingBackend(place.backend)))
            return edit(cap, change)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(vault, "edit_directory", sleep_before_the_edit)
            with pytest.raises(FencedError, match="a prune deleted it"):
                undo(vault, target, [], record, clock)
        assert reports[0].deleted_packs
        assert edits[1] == archives
        assert [entry.name for entry in target.read(vault)] == [new]
        assert vault.check(place.target, read_data=True).is_healthy
        undone = undo(vault, target, [], record, clock)
        assert (undone.back, list(undone.lost)) == ([], [old])
        assert [entry.name for entry in target.read(vault)] == [new]


@pytest.mark.parametrize("is_held", [False, True])
def test_an_undo_takes_out_no_entry_that_somebody_has_changed(place: Place, tmp_path: Path, is_held: bool) -> None:
    """What was entered and somebody has held since stays where the undo is told of a prune; the next undo names it as lost."""
    clock = FakeClock()
    name = snapshot_name(0)
    with place.open() as vault, RetentionRecord(tmp_path / "retention.db") as record:
        target = RetentionTarget(place.target, place.archives(vault), "v:")
        enter(vault, place.target, name, place.first)
        forget_named(vault, target, [name], frozenset(), record, clock, allow_empty=True)

        def put_back_and_hold() -> None:
            with without_lost_entries(vault, target.archives) as put_back, vault.session() as session:
                session.commit([place.first])
                place.prune(backend=HidingBackend(place.backend))
                put_back(record.all_forgotten(target.fingerprint))
                if is_held:
                    hold(vault, target, [name], "", clock)

        with pytest.raises(FencedError):
            put_back_and_hold()
        assert [entry.name for entry in target.read(vault)] == [*([name] if is_held else []), b"2"]
        undone = undo(vault, target, [], record, clock)
        assert (undone.back, list(undone.lost)) == ([], [name])
