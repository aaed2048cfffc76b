"""Whether a snapshot is the user's own, so that a restore may give its files every right that they had."""

from __future__ import annotations

from tallac.app.workspace import Workspace
from tallac.caps import DirectoryWriteCap
from tallac.dag import ARCHIVES, LATEST, mutable_identity
from tallac.interfaces import Grid
from tallac.transfer.directory_edits import entries_of, strongest_cap
from tallac.transfer.place import Place


def is_own_snapshot(workspace: Workspace, written: str, grid: Grid, located: Place) -> bool:
    """Whether a path begins at an alias and leads to a snapshot through directories all of which the user may change.

    Whoever only reads a directory has it from somebody else, as has whoever writes a cap on the command line, or links something to
    a name that no backup gives. Who else may change the directories is not known.

    Args:
        workspace: Knows the aliases.
        written: The path, as the user wrote it.
        grid: The grid that it is on.
        located: The same path, resolved.
    """
    if not workspace.may_back_up_to(written):
        return False
    cap, above = located.cap, b""
    for name in located.path:
        if not isinstance(cap, DirectoryWriteCap):
            return False
        entry = next((entry for entry in entries_of(grid, cap) if entry.name == name), None)
        if entry is None:
            return False
        cap = strongest_cap(entry)
        if not isinstance(cap, DirectoryWriteCap):
            # From here on nothing can be changed: this is the snapshot, or what else somebody has put here.
            return mutable_identity(entry.encoded) is None and (name == LATEST or above == ARCHIVES)
        above = name
    return isinstance(cap, DirectoryWriteCap)
