"""Marks: what hangs from the roots and from sessions, found by following links. A keeper key suffices; no content is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import msgspec

from tallac.caps import MutableDirectoryVerify
from tallac.errors import ConflictError, CorruptObjectError, DamageError, MissingObjectError
from tallac.interfaces import Backend
from tallac.vault.distance import at_hand, fetched
from tallac.vault.format.header import list_objects
from tallac.vault.format.keys import KeeperKey, LocatorKey
from tallac.vault.format.links import Link, leave_out
from tallac.vault.format.objects import object_name_of
from tallac.vault.index.index import VaultIndex
from tallac.vault.marking.census import Census, locations_of
from tallac.vault.marking.hash_set import HashSet
from tallac.vault.marking.walk import LinkWalk
from tallac.vault.mutable.pending_deletions import pending_deletions_of
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import SLOT_PREFIX, Slots
from tallac.vault.packs.pack import PACK_PREFIX, pack_path
from tallac.vault.prune.report import NOTHING_FORGOTTEN, Forgotten

MARKS_MAX = 10
PASSED_OVER = "is nothing that a writer or keeper of this vault has made; ignored"


class Amount(msgspec.Struct, frozen=True):
    """How many objects, and their bytes."""

    objects: int = 0
    size: int = 0


class Marks(msgspec.Struct, frozen=True):
    """The objects in use, over one generation of the index.

    Attributes:
        walk: What links lead to.
        census: Which records of the index that is.
        unindexed: Packs that no index object names, with a footer of a writer or keeper: they may be deleted, not counted on.
        ignored: What lies among the vault's packs and slots and is none, a sentence each.
        entering: What nothing leads to but the links that are about to be entered.
    """

    walk: LinkWalk
    census: Census
    unindexed: frozenset[bytes]
    ignored: list[str]
    entering: Amount


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
        *,
        forgotten: Forgotten = NOTHING_FORGOTTEN,
    ) -> None:
        """Prepare; the index is refreshed by `mark`. What is forgotten is not followed: nothing may be deleted by such marks."""
        self._backend = backend
        self._keeper = keeper
        self._locator: LocatorKey = keeper.locator_key
        self._index = index
        self._slots = slots
        self._roots = roots
        self._pending = pending
        self._forgotten = forgotten
        self._ignored: list[str] = []

    def mark(
        self,
        session_links: Iterable[bytes],
        step: Callable[[int], None] = lambda _marked: None,
        *,
        entering: Iterable[bytes] = (),
    ) -> Marks:
        """Mark what hangs from sessions, whose links were read before, and from all roots as they are now.

        Args:
            session_links: Encoded links.
            entering: Such of sessions that are about to enter them. What they alone lead to is counted.
            step: Called now and then with the number of objects found to be in use so far.

        Raises:
            DamageError: Something in use can't be followed; what hangs below it can't be distinguished from unreferenced objects.
        """
        session_links, entering = list(session_links), list(entering)
        seen: tuple[int, list[bytes]] | None = None
        for _ in range(MARKS_MAX):
            roots = self._look()
            before, seen = seen, (self._index.generation, roots)
            try:
                # Sessions were read before the roots. They are followed last, since they may miss what a root may not.
                walk = self._walk()
                self._may_miss = False
                walk.follow(roots, partial(_tell, walk, step))
                self._may_miss = True
                walk.follow(session_links, partial(_tell, walk, step))
                known, walk.hashes = walk.hashes, HashSet()
                walk.follow(entering, partial(_tell, walk, step))
                added, walk.hashes = walk.hashes, known
            except MissingObjectError:
                # It may have been moved, or forgotten and taken by another prune, since the index and the roots were read.
                if seen == before:
                    raise
                continue
            amount = self._amount_of(added, beside=known) if entering else Amount()
            for part in added.parts():
                known.update(part)
            unindexed = self._index.unindexed_packs
            there = self._index.packs().keys() - unindexed - self._index.absent_packs
            return Marks(walk, Census(self._index, walk.hashes, there), unindexed, [*self._ignored, *self._noise()], amount)
        raise ConflictError(f"{self._backend.location()} changed {MARKS_MAX} times during a prune: try again")

    def _look(self) -> list[bytes]:
        """Look at the index, then at the packs, and at the roots beside; return the links of all roots.

        The packs are listed once the index was read: what it names was stored before.
        """
        registers = (self._index.register_path, self._roots.path)
        with fetched(self._backend, (*registers, *self._slots.seen_paths()), (SLOT_PREFIX,)):
            slots = {item.name: item.size for item in list_objects(self._backend, SLOT_PREFIX)}
            self._index.refresh()
            others = set(slots).difference(self._slots.seen_paths())
            with fetched(self._backend, (self._pending.path, *sorted(others)), (PACK_PREFIX,)):
                self._index.look_at_packs()
                return list(self._root_links(slots))

    def _amount_of(self, hashes: HashSet, *, beside: HashSet) -> Amount:
        """Count the objects with some hashes that are not among others, and the bytes of a copy of each."""
        objects = size = 0
        for part in hashes.parts():
            copies = locations_of(self._index, part - beside.intersection(part))
            objects += len(copies)
            size += sum(found[0][1].size for found in copies.values())
        return Amount(objects, size)

    def _walk(self) -> LinkWalk:
        return LinkWalk(self._backend, self._locator, self._index, damaged=self._stop_or_pass)

    def _stop_or_pass(self, link: Link, error: DamageError) -> None:
        """Stop at what can't be followed.

        A session may name what was never stored whole, or was taken since: its writer finds out. A root may not.
        """
        if not self._may_miss or not isinstance(error, MissingObjectError):
            raise _stopped(error) from error
        name = object_name_of(self._locator.naming, link.storage_index)
        if self._index.number_of(name, link.hash) is not None and not self._is_taken(name, link.hash):
            raise _stopped(error) from error

    def _root_links(self, listed: Mapping[str, int]) -> Iterator[bytes]:
        roots = self._all_roots(listed)
        for path in at_hand(self._backend, ((path, listed.get(path, 0)) for path in roots)):
            cap = roots[path]
            links = self._slots.links(cap, self._slots.read(cap))
            yield leave_out(links, self._forgotten.links) if cap.storage_index in self._forgotten.directories else links

    def _all_roots(self, listed: Mapping[str, int]) -> dict[str, MutableDirectoryVerify]:
        """Return the roots of the register by their paths, and of listed slots that it does not name: too many do no harm.

        A slot that no register names has been linked nowhere yet; one that is damaged was made by nobody, and is passed over.
        """
        self._ignored = []
        roots = {self._slots.path_of(cap.storage_index): cap for cap in self._roots.read()}
        for path in at_hand(self._backend, [each for each in listed.items() if each[0] not in roots]):
            if path not in roots:
                try:
                    cap = self._slots.open_root(path, self._keeper)
                    self._slots.read(cap)
                except CorruptObjectError:
                    self._ignored.append(f"{path} {PASSED_OVER}")
                except MissingObjectError:
                    continue  # It was listed, and is gone.
                else:
                    roots[path] = cap
        for path in self._slots.seen_paths():
            if path not in roots:
                raise _stopped(
                    MissingObjectError(
                        f"{path} in {self._backend.location()} is a directory that this machine has seen, and it is gone: somebody "
                        "took it out of the roots, and replaced or deleted it. Bring it back from a mirror or an older version"
                    )
                )
        return roots

    def _noise(self) -> Iterator[str]:
        """Name what lies among the packs, is no pack that the index knows, and has no footer with a right stamp."""
        known = self._index.packs()
        for name in self._index.listed_packs.keys() - known.keys():
            if not pending_deletions_of(self._pending.read()).is_deleted(name):
                yield f"{pack_path(name)} {PASSED_OVER}"

    def _is_taken(self, name: bytes, stored_hash: bytes) -> bool:
        """Whether a prune has decided upon all copies that the index knows: it may delete them while this one looks at them."""
        pending = pending_deletions_of(self._pending.read())
        return all(pending.has_decided(location) for location in self._index.copies(name) if location.hash == stored_hash)


def _tell(walk: LinkWalk, step: Callable[[int], None]) -> None:
    step(walk.nodes + walk.files)


def _stopped(error: DamageError) -> DamageError:
    return type(error)(
        f"{error}: what it refers to can't be told from unused data, so nothing is deleted; `tallac check` names what is hit"
    )
