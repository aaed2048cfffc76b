"""Named bytes in an object store: S3 and what is like it, Azure, Google Cloud.

The object `a/b` is the object `PREFIX/a/b` in the bucket. An object is created, and swapped, by conditional puts; what the store
has to do for this, `object_store_probe.py` finds out. A store has no conditional delete: an object that is deleted in a certain
state is first swapped for a *tombstone*, which counts as absence everywhere, so that of two who change it only one succeeds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import IO, TYPE_CHECKING

from tallac.backends.names import check_name, check_prefix, is_of_probe
from tallac.backends.object_store_calls import StoreCalls
from tallac.backends.object_store_settings import AZURE, GOOGLE, ObjectStoreSettings
from tallac.backends.spooled_upload import SpooledUpload, spooled_parts
from tallac.backends.traffic import Pace, Traffic
from tallac.errors import ConflictError, ObjectNotFoundError
from tallac.interfaces import Buffer, Expect, Item, ListedObject, Version

if TYPE_CHECKING:
    from obstore import PutMode

SPOOLED_IN_MEMORY_MAX = 1 << 20
"""Several packs are open at a time in each process."""

_TOMBSTONE = b"tallac: deleted "
TOMBSTONE_SIZE = len(_TOMBSTONE) + 16


class ObjectStoreBackend:
    """The `Backend` protocol over a bucket. Thread-safe; can be sent to other processes, which find the credentials themselves.

    A version is the object's ETag, at Google its generation. Nothing is tried again here: see `RetryingBackend`.
    """

    def __init__(
        self,
        settings: ObjectStoreSettings,
        traffic: Traffic | None = None,
        *,
        make_calls: Callable[[ObjectStoreSettings, Traffic], StoreCalls] = StoreCalls,
    ) -> None:
        """Use a bucket; nothing is asked yet."""
        self._settings = settings
        self._traffic = traffic or Traffic()
        self._make_calls = make_calls
        self.calls = make_calls(settings, self._traffic)
        self._has_bare_tags = settings.has_bare_tags

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Return what another process needs to open it once more; no secret is in it."""
        return _reopen, (self._settings, self._traffic, self._make_calls, self._has_bare_tags)

    @property
    def has_bare_tags(self) -> bool:
        """Whether the store was found to compare ETags without their quotation marks, now or earlier."""
        return self._has_bare_tags

    @property
    def settings(self) -> ObjectStoreSettings:
        """Where it is."""
        return self._settings

    sends_in_steps = False
    """The library takes the whole body of a put at once."""

    def keep_pace(self, pace: Pace) -> None:
        """See `PacedBackend`."""
        self.calls.pace = pace

    def location(self) -> str:
        return self._settings.where

    def create(self) -> None:
        """Do nothing: a bucket is the user's to make, and a prefix need not be made."""

    def examine(self) -> None:
        """Do nothing: all that this builds on is tried by `Probe`."""

    def is_empty(self) -> bool:
        """Whether there is nothing at all, but for what a killed probe has left."""
        return all(is_of_probe(item.name) for item in self.list(""))

    # Writing

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        path = self._path(name)
        if isinstance(expect, bytes):
            return self._swap(name, bytes(data), expect.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return self.calls.put(path, data, mode="overwrite" if expect is None else "create").encode("utf-8", "surrogateescape")

    def upload(self) -> SpooledUpload:
        return SpooledUpload(self.location(), self.add, SPOOLED_IN_MEMORY_MAX)

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """See `WholeObjectBackend`."""
        path = self._path(name)
        content = b"".join(spooled_parts(file, size, max(size, 1)))
        try:
            self.calls.put(path, content, mode="create", storage_class=self._settings.storage_class)
        except ConflictError:
            return

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        path = self._path(name)
        if expect is not None:
            try:
                found = self.calls.get(path)
            except ObjectNotFoundError:
                return
            if found.tag.encode("utf-8", "surrogateescape") != expect or _is_tombstone(found.content):
                if _is_tombstone(found.content):
                    return
                raise self._conflict(name)
            self._swap(name, _TOMBSTONE + os.urandom(16), found.tag)
        self.calls.delete(path)

    def _swap(self, name: str, content: bytes, tag: str) -> str:
        """Replace an object that is in the state that a tag names, and return its new tag.

        Raises:
            ConflictError: It is in another state.
        """
        path = self._path(name)
        if not tag:
            # An empty tag would be no condition at all.
            raise self._conflict(name)
        try:
            return self.calls.put(path, content, mode=self._condition(tag))
        except ConflictError:
            if self._has_bare_tags or self._settings.kind == GOOGLE or '"' not in tag or not self._has_tag(path, tag):
                raise
        # It is in that state, and yet refused: Ceph wants the tag without its quotation marks.
        new_tag = self.calls.put(path, content, mode={"e_tag": tag.strip('"')})
        self._has_bare_tags = True
        return new_tag

    def _condition(self, tag: str) -> PutMode:
        if self._settings.kind == GOOGLE:
            return {"version": tag}
        return {"e_tag": tag.strip('"') if self._has_bare_tags else tag}

    def _has_tag(self, path: str, tag: str) -> bool:
        try:
            return self.calls.tag(path) == tag
        except ObjectNotFoundError:
            return False

    # Reading

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        path = self._path(name)
        if start == 0 and stop is None:
            content = self.calls.get(path).content
            if _is_tombstone(content):
                raise ObjectNotFoundError(f"{self.location()} has no object {name}")
            return content
        if stop is not None and start >= stop:
            self.calls.tag(path)
            return b""
        return self.calls.get_range(path, start, stop)

    def get_versioned(self, name: str) -> tuple[bytes, Version] | None:
        try:
            found = self.calls.get(self._path(name))
        except ObjectNotFoundError:
            return None
        return None if _is_tombstone(found.content) else (found.content, found.tag.encode("utf-8", "surrogateescape"))

    def list(self, prefix: str) -> Iterator[Item]:
        check_prefix(prefix)
        return iter([found.item for found in self._list(prefix)])

    def list_versions(self) -> Sequence[ListedObject]:
        """See `tallac.interfaces.ListsVersions`. Google's listings tell no generations: there, each is unknown.

        Azure's have ETags without the quotation marks that its other answers have, as its documentation shows them too.
        """
        return self._list("")

    def _list(self, prefix: str) -> Sequence[ListedObject]:
        # Stores list below whole segments only, in any order.
        folder = prefix.rpartition("/")[0]
        above = f"{self._settings.prefix}/" if self._settings.prefix else ""
        found = []
        for listed in self.calls.list((above + folder).rstrip("/")):
            name = listed.path.removeprefix(above)
            if not name.startswith(prefix) or (listed.size == TOMBSTONE_SIZE and self._is_deleted(listed.path)):
                continue
            tag = "" if self._settings.kind == GOOGLE else listed.e_tag
            if self._settings.kind == AZURE and tag and not tag.startswith('"'):
                tag = f'"{tag}"'
            found.append(ListedObject(Item(name, listed.size), tag.encode("utf-8", "surrogateescape")))
        return found

    def _is_deleted(self, path: str) -> bool:
        try:
            return _is_tombstone(self.calls.get(path).content)
        except ObjectNotFoundError:
            return True

    def _path(self, name: str) -> str:
        check_name(name)
        return f"{self._settings.prefix}/{name}" if self._settings.prefix else name

    def _conflict(self, name: str) -> ConflictError:
        return ConflictError(f"{name} in {self.location()} was changed by somebody else meanwhile: run this again")


def _is_tombstone(content: bytes) -> bool:
    return len(content) == TOMBSTONE_SIZE and content.startswith(_TOMBSTONE)


def _reopen(
    settings: ObjectStoreSettings,
    traffic: Traffic,
    make_calls: Callable[[ObjectStoreSettings, Traffic], StoreCalls],
    has_bare_tags: bool,
) -> ObjectStoreBackend:
    backend = ObjectStoreBackend(settings, traffic, make_calls=make_calls)
    backend._has_bare_tags = has_bare_tags  # noqa: SLF001 - it is this module's own class.
    return backend
