"""Leaving out Tallac's own keys, configuration and state, and vaults, wherever a walk meets them."""

from __future__ import annotations

from collections.abc import Collection

from tallac.backup.summary import Observer
from tallac.dag import join_path
from tallac.source import OWN_MARKS, RUN_COUNT_MAX, FileSystem, OwnFiles, OwnKind, OwnPlace, Scan, SourceEntry


class OwnLeftOut:
    """Finds what is Tallac's own, tells of it once, and remembers it by directory."""

    def __init__(self, own: OwnFiles, filesystem: FileSystem, observer: Observer) -> None:
        self._files = own
        self._filesystem = filesystem
        self._observer = observer
        self._names: dict[bytes, set[bytes]] = {}

    def names(self, path: bytes) -> Collection[bytes]:
        """Return the names that were left out of a directory so far."""
        return self._names.get(path, ())

    def holds(self, path: bytes, found: SourceEntry, directory: int) -> bool:
        """Whether a name of an open directory is Tallac's own, by its identity, or because it was recognised before."""
        if self._names and found.name in self._names.get(path, ()):
            return True
        place = self._files.find(found, directory, self._filesystem)
        if place is not None:
            self._leave_out(path, found.name, place)
        return place is not None

    def recognises(self, path: bytes, name: bytes, descriptor: int, listing: Scan) -> bool:
        """Whether a directory that has just been listed is Tallac's own by what is in it."""
        if len(listing) <= RUN_COUNT_MAX and not listing.find(OWN_MARKS):
            return False
        place = self._files.recognise(descriptor, self._filesystem)
        if place is not None:
            above = path[: -len(name)]
            self._leave_out(above if len(above) <= 1 else above.removesuffix(b"/"), name, place)
        return place is not None

    def _leave_out(self, path: bytes, name: bytes, place: OwnPlace) -> None:
        self._names.setdefault(path, set()).add(name)
        left = join_path(path, name)
        if place.is_target:
            self._observer.notice(left, "left out: it is the vault that this backup goes into")
        elif place.kind is OwnKind.VAULT:
            self._observer.notice(left, "left out: it is one of your vaults; add --include-own to back it up")
        else:
            self._observer.own(left, place.kind.value)
