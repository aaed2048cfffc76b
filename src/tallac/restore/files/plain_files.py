"""Files that can be made many in one call: plain ones, of which all that is to be set is owner, mode and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tallac.dag import Entry
from tallac.restore.files.metadata import Attributes, Rights
from tallac.restore.safe_names import are_plain, is_unusual

if TYPE_CHECKING:
    from tallac.native.writing import Started

_SECOND_NS = 1_000_000_000

Pair = tuple[Entry, bytes | None]
"""A file and its content; None where that has not been read."""


class Begun(NamedTuple):
    """How far a file has come when it is handed back.

    Attributes:
        started: It is open; None where it has not been made, or is closed.
        close_error: Why it could not be closed, which has all else; 0 otherwise.
    """

    started: Started | None
    close_error: int


NOT_BEGUN = Begun(None, 0)


class Plain(NamedTuple):
    """Plain files, one column for each thing."""

    entries: list[Entry]
    names: list[bytes]
    contents: list[bytes]
    times: list[tuple[int, int]]
    rights: list[Rights]


def divide(pairs: Sequence[Pair], attributes: Attributes) -> tuple[Plain, list[Pair]]:
    """Divide files into plain ones and others; each come in the order in which they are given."""
    plain, others = Plain([], [], [], [], []), []
    entries, names, contents, times, all_rights = plain
    has_plain_names = are_plain([entry.name for entry, _ in pairs])
    for entry, content in pairs:
        metadata, name = entry.metadata, entry.name
        rights, mtime = attributes.usual_rights(metadata), metadata.mtime
        if content is None or rights is None or mtime is None or metadata.holes or not (has_plain_names or not is_unusual(name)):
            others.append((entry, content))
            continue
        if not 0 <= mtime[1] < _SECOND_NS:
            others.append((entry, content))  # Not as the format has it: perhaps no number of 64 bits.
            continue
        entries.append(entry)
        names.append(name)
        contents.append(content)
        times.append(mtime)
        all_rights.append(rights)
    return plain, others
