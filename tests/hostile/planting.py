"""Snapshots of any entries in a user's own vault, entered as a backup enters its own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace
from tests.command import Tallac

from tallac.app.client import Client
from tallac.app.configuration.folders import Folders
from tallac.caps import DirectoryWriteCap
from tallac.dag import ARCHIVES, LATEST, Entry, Metadata, SnapshotFacts
from tallac.testing.sample_vault import create_target, enter
from tallac.transfer.directory_edits import find_writable
from tallac.transfer.place import Place

DIRECTORY = Metadata(mode=0o40755)
NAME = b"2026-01-02_03:04:05Z"
FACTS = SnapshotFacts(host="there", sources=(b"/there",), started_ns=1_767_323_045 * 10**9, ended_ns=1_767_323_045 * 10**9)


def plant(tallac: Tallac, target: str, entries: Sequence[Entry], root: Metadata = DIRECTORY) -> None:
    """Enter a snapshot in a new target below the default alias; entries come in the order of their names."""
    with Client(Folders.under(tallac.home)) as client:
        grid, place = client.workspace.resolve("tallac:")
        top = place.cap
        assert isinstance(top, DirectoryWriteCap)
        made = create_target(grid)
        with grid.session() as session:
            with session.writing() as writer:
                cap = writer.put_directory(entries)
            session.commit([cap])
            enter(grid, made, NAME, cap)
        grid.edit_directory(top, lambda there: [*there, Entry.of(target.encode(), made)])
        described = replace(root, snapshot=FACTS)
        for above, name in ((Place(made, (ARCHIVES,), ""), NAME), (Place(made, (), ""), LATEST)):
            changed = Entry.of(name, cap, described)
            grid.edit_directory(find_writable(grid, above), partial(_with, changed))


def _with(changed: Entry, entries: list[Entry]) -> list[Entry]:
    return [changed if entry.name == changed.name else entry for entry in entries]
