"""Which packs a check reads next, and how far it has come, so that a check can go on where it was interrupted.

The packs are taken in the order of their names. What a client remembers lies in its state folder; losing it costs reading again.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from tallac.local_files import Durability, replace
from tallac.vault.check.options import PackSubset

ROUNDS_FILE = "checked.json"


class Progress(msgspec.Struct):
    """How far a round of one kind has come.

    Attributes:
        last: The last pack that was read, in base 16; "" for none.
        damaged: The packs that were found damaged, likewise.
    """

    last: str = ""
    damaged: list[str] = msgspec.field(default_factory=list)


_decoder = msgspec.json.Decoder(dict[str, Progress])


def choose(share: PackSubset, sizes: Mapping[bytes, int], last: bytes, damaged: Collection[bytes]) -> list[bytes]:
    """Return the packs to be read, in order; a resumed round begins with those that were found damaged."""
    names = sorted(name for name in sizes if int.from_bytes(name[:8], "big") % share.parts == share.part - 1)
    again = [name for name in names if name in damaged]
    start = bisect_right(names, last)
    if share.percent:
        wanted, chosen = sum(sizes.values()) * share.percent / 100, 0
        following: list[bytes] = []
        for name in names[start:] + names[:start]:
            if chosen >= wanted:
                break
            following.append(name)
            chosen += sizes[name]
    elif share.is_resumed:
        following = names[start:]
    else:
        return names
    return again + [name for name in following if name not in damaged]


class ReadDataProgress:
    """One round over the packs of a vault."""

    def __init__(self, share: PackSubset, folder: Path) -> None:
        """Read those packs, and remember in a client's state folder how far the round is."""
        self._share = share
        self._folder = folder
        self._progress = Progress()
        self._again: frozenset[bytes] = frozenset()

    def begin(self, sizes: Mapping[bytes, int]) -> list[bytes]:
        """Choose the packs to be read."""
        if self._share.percent or self._share.is_resumed:
            self._progress = self._load().get(self._share.kind, Progress())
        self._again = frozenset(bytes.fromhex(name) for name in self._progress.damaged)
        self._progress.damaged = []
        return choose(self._share, sizes, bytes.fromhex(self._progress.last), self._again)

    def note(self, pack: bytes, *, is_whole: bool) -> None:
        """Remember that a pack was read."""
        if not is_whole:
            self._progress.damaged.append(pack.hex())
        if pack not in self._again:
            self._progress.last = pack.hex()
        self._save()

    def finish(self) -> None:
        """Remember that all chosen packs were read: where that was all there is, the next round begins at the beginning."""
        if not self._share.percent:
            self._progress = Progress()
            self._save()

    def _load(self) -> dict[str, Progress]:
        try:
            return _decoder.decode((self._folder / ROUNDS_FILE).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return {}  # What can't be read is not known: the round begins at the beginning.

    def _save(self) -> None:
        progresses = self._load() | {self._share.kind: self._progress}
        # A full disk must not end a check; the next one merely reads more.
        with contextlib.suppress(OSError):
            replace(self._folder / ROUNDS_FILE, msgspec.json.encode(progresses), Durability.NONE)
