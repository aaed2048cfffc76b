"""Marks: what hangs from the roots and from sessions, found by following links. A keeper key suffices; no content is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tallac.caps import MutableDirectoryVerify
from tallac.errors import ConflictError, DamageError, MissingObjectError
from tallac.interfaces import Backend
from tallac.vault.format.header import list_objects
from tallac.vault.format.keys import KeeperKey, LocatorKey
from tallac.vault.format.links import Link, LinkKind, decode_links
from tallac.vault.format.objects import object_name_of
from tallac.vault.index.index import VaultIndex
from tallac.vault.mutable.pending_deletions import pending_deletions_of
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import SLOT_PREFIX, Slots
from tallac.vault.reading.object_reader import ObjectReader

MARKS_MAX = 10

PROGRESS_STEP = 500
"""So many objects are followed between two reports."""


class Marks:
    """One bit for each record of one generation of the index; set for what was reached.

    Attributes:
        count: How many are set.
        total: How many records there are.
    """

    def __init__(self, index: VaultIndex) -> None:
        """Nothing is reached yet."""
        self._index = index
        self._generation = index.generation
        self.count, self.total = 0, index.count()
        self._bits = bytearray(self.total // 8 + 1)
        self._directories = bytearray(self.total // 8 + 1)

    @property
    def is_valid(self) -> bool:
        """Whether the index is still the one that the marks belong to."""
        return self._generation == self._index.generation

    def __contains__(self, name: bytes) -> bool:
        """Whether an object was reached.

        Raises:
            ConflictError: The index has changed, and the marks mean nothing any more.
        """
        number = self._number(name)
        return number is not None and bool(self._bits[number >> 3] >> (number & 7) & 1)

    def add(self, name: bytes, *, is_directory: bool = False) -> bool:
        """Remember an object; False where it was reached before, or the index does not know it."""
        number = self._number(name)
        if number is None or self._bits[number >> 3] >> (number & 7) & 1:
            return False
        self.count += 1
        self._bits[number >> 3] |= 1 << (number & 7)
        self._directories[number >> 3] |= is_directory << (number & 7)
        return True

    def is_directory(self, name: bytes) -> bool:
        """Whether an object that was reached is a directory's."""
        number = self._number(name)
        return number is not None and bool(self._directories[number >> 3] >> (number & 7) & 1)

    def knows(self, name: bytes) -> bool:
        """Whether the index knows an object."""
        return self._number(name) is not None

    def _number(self, name: bytes) -> int | None:
        if not self.is_valid:
            raise ConflictError("the index changed during the prune: run this again")
        return self._index.number_of(name)


class Marker:
    """Marks everything that is in use."""

    def __init__(
        self,
        backend: Backend,
        keeper: KeeperKey,
        index: VaultIndex,
        slots: Slots,
        roots: Roots,
        pending: Register,
        progress: Callable[[int, int], None] = lambda _marked, _total: None,
    ) -> None:
        """Prepare; the index is refreshed by `mark`, and `progress` is told how many objects are marked, and how many there are."""
        self._backend = backend
        self._keeper = keeper
        self._locator: LocatorKey = keeper.locator_key
        self._index = index
        self._slots = slots
        self._roots = roots
        self._pending = pending
        self._progress = progress

    def mark(self, session_links: Iterable[bytes]) -> Marks:
        """Mark what hangs from sessions, whose links were read before, and from all roots as they are now.

        Raises:
            DamageError: Something in use can't be followed; what hangs below it can't be distinguished from unreferenced objects.
        """
        session_links = list(session_links)
        seen: tuple[int, list[Link]] | None = None
        for _ in range(MARKS_MAX):
            self._index.refresh()
            self._index.look_at_packs()
            marks = Marks(self._index)
            # A reader looks again at a fresh index for what it misses, after which the marks have to be made anew.
            reader = ObjectReader(self._backend, self._locator, self._index)
            roots = self._root_links()
            before, seen = seen, (self._index.generation, list(roots))
            try:
                self._follow(reader, marks, [link for links in session_links for link in decode_links(links)], may_miss=True)
                self._follow(reader, marks, roots, may_miss=False)
            except ConflictError:
                if marks.is_valid:
                    raise
            except MissingObjectError:
                # It may have been forgotten, and taken by another prune, since the roots were read.
                if seen == before:
                    raise
            else:
                if marks.is_valid:
                    return marks
        raise ConflictError(f"{self._backend.location()} changed {MARKS_MAX} times during a prune: try again")

    def _root_links(self) -> list[Link]:
        links: list[Link] = []
        for cap in self._all_roots():
            links += decode_links(self._slots.links(cap, self._slots.read(cap)))
        return links

    def _all_roots(self) -> list[MutableDirectoryVerify]:
        """Return the roots of the register, and of slots that it does not name: too many do no harm."""
        roots = {self._slots.path_of(cap.storage_index): cap for cap in self._roots.read()}
        for item in list_objects(self._backend, SLOT_PREFIX):
            if item.name not in roots:
                roots[item.name] = self._slots.open_root(item.name, self._keeper)
        return list(roots.values())

    def _follow(self, reader: ObjectReader, marks: Marks, links: list[Link], *, may_miss: bool) -> None:
        """Mark all that hangs from some links.

        A session may name what was never stored whole, or was taken since: its writer finds out. A root may not.
        """
        # What is left in damaged packs is followed too, and known to no index.
        unknown: set[bytes] = set()
        followed = 0
        while links:
            link = links.pop()
            followed += 1
            if followed % PROGRESS_STEP == 0:
                self._progress(marks.count, marks.total)
            if link.kind is LinkKind.SLOT:
                continue  # Each slot of this vault is a root.
            name = object_name_of(self._locator.naming, link.storage_index)
            if link.kind is LinkKind.CHUNK:
                marks.add(name)
                continue
            if marks.knows(name):
                if not marks.add(name, is_directory=link.kind is LinkKind.DIRECTORY):
                    continue
            elif name in unknown:
                continue
            else:
                unknown.add(name)
            try:
                links += reader.read_links(link)
            except MissingObjectError as error:
                if not may_miss or (marks.knows(name) and not self._is_taken(name)):
                    raise _stopped(error) from error
            except DamageError as error:
                raise _stopped(error) from error

    def _is_taken(self, name: bytes) -> bool:
        """Whether a prune has decided upon all copies that the index knows: it may delete them while this one looks at them."""
        pending = pending_deletions_of(self._pending.read())
        return all(pending.has_decided(location) for location in self._index.copies(name))


def _stopped(error: DamageError) -> DamageError:
    return type(error)(
        f"{error}: what it refers to can't be told from unused data, so nothing is deleted; `tallac check` names what is hit"
    )
