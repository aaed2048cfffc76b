"""A partial mirror: what hangs below some caps, object by object, sealed as it is. A keeper key suffices.

The mirror has an index and roots of its own. What hangs from the caps is found by following links in the vault; what the mirror has
not is packed anew there; the slots that were followed come last, and then their roots. So it is never ahead of its packs either.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from tallac.caps import MutableDirectoryVerify
from tallac.errors import ConflictError, DamageError, MissingObjectError, VaultNotFoundError
from tallac.interfaces import Backend, Expect
from tallac.vault.format.header import HEADER_NAMES, Header, prove, read_header
from tallac.vault.format.keys import KeeperKey
from tallac.vault.format.links import Link, encode_link, link_of
from tallac.vault.format.structure import Structure
from tallac.vault.marking.census import locations_of
from tallac.vault.marking.walk import LinkWalk
from tallac.vault.mirror.peer import PeerVault
from tallac.vault.mirror.report import MirrorOptions, MirrorProgress, MirrorReport
from tallac.vault.mirror.rollback_guard import ForwardCheck, MirrorMemory
from tallac.vault.mutable.conditional_put import put_once
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import Slots
from tallac.vault.prune.repack import Repacking
from tallac.wording import pluralize

BATCH_OBJECTS = 100_000
ROUNDS_MAX = 10


class PartialCopy:
    """One copy of a part of a vault to a mirror. Interrupted at any point it harms nothing, and the next one goes on."""

    def __init__(
        self,
        source: Backend,
        mirror: Backend,
        keeper: KeeperKey,
        options: MirrorOptions,
        progress: MirrorProgress | None = None,
    ) -> None:
        """Prepare; nothing is read yet."""
        self._source = source
        self._mirror = mirror
        self._keeper = keeper
        self._options = options
        self._progress = progress
        self._slots = Slots(source, keeper.locator_key, NoMemory(), os.urandom)
        self._missed = ""
        self.report = MirrorReport()

    def run(self) -> None:
        """Copy.

        Raises:
            VaultNotFoundError: There is no vault to be copied, or the mirror's place holds something else.
            RollbackDetectedError: The mirror is newer than the vault.
            ConflictError: The vault changed all the while.
            StoreError: A store failed.
        """
        header = self._begin()
        self._structure = Structure(self._keeper, header.signers)
        self._forward = ForwardCheck(self._source, self._mirror, self._keeper, header.signers, MirrorMemory(None))
        for _ in range(ROUNDS_MAX):
            source = PeerVault(self._source, header, self._keeper)
            mirror = PeerVault(self._mirror, header, self._keeper) if self._has_header() else None
            try:
                if self._copy(source, mirror):
                    return
            finally:
                source.close()
                if mirror is not None:
                    mirror.close()
        raise ConflictError(f"{self._source.location()} changed {ROUNDS_MAX} times while it was copied: copy it again")

    def _begin(self) -> Header:
        """Make the mirror an empty vault with the same header, or see that it is one; give the header.

        Raises:
            AuthorityError: The key is none of the vault that has this header.
        """
        header = read_header(self._source)
        prove(header, self._keeper, self._source.location())
        if self._has_header():
            if read_header(self._mirror).signers != header.signers:
                raise VaultNotFoundError(
                    f"{self._mirror.location()} contains another vault: give an empty folder, or this vault's mirror"
                )
        elif any(True for _ in self._mirror.list("")):
            raise VaultNotFoundError(
                f"{self._mirror.location()} contains something other than a vault: a mirror needs an empty folder"
            )
        if not self._options.is_dry_run:
            for name in HEADER_NAMES:
                if self._mirror.get_versioned(name) is None:
                    put_once(self._mirror, name, header.encode(), Expect.ABSENT)
            structure = Structure(self._keeper, header.signers)
            for name, key in (("index", structure.secret), ("roots", self._keeper.roots)):
                Register(self._mirror, name, key, structure, NoMemory(), os.urandom).swap(
                    lambda text: b"" if text is None else None
                )
        return header

    def _has_header(self) -> bool:
        return any(self._mirror.get_versioned(name) is not None for name in HEADER_NAMES)

    def _copy(self, source: PeerVault, mirror: PeerVault | None) -> bool:
        """Copy what hangs below the caps as it is now; False where some of it moved or went meanwhile: then again."""
        slots = _SlotsOnTheWay(source, self._slots)
        walk = LinkWalk(self._source, self._keeper.locator_key, source.index(), damaged=_raise, open_slot=slots.links)
        try:
            walk.follow(encode_link(link_of(cap)) for cap in self._options.only)
        except MissingObjectError as error:
            # A prune may have moved it since the index was read.
            if str(error) != self._missed:
                self._missed = str(error)
                return False
            self.report.problems.append(f"{error}; repair the vault first")
            return True
        except DamageError as error:
            self.report.problems.append(f"{error}; repair the vault first")
            return True
        is_complete = True
        for part in walk.hashes.parts():
            held = set() if mirror is None else locations_of(mirror.index(), part).keys()
            left = sorted(part - held)
            for start in range(0, len(left), BATCH_OBJECTS):
                is_complete &= self._take(left[start : start + BATCH_OBJECTS], source, mirror)
        if is_complete:
            self._take_slots(slots.found)
        return is_complete or bool(self.report.problems)

    def _take(self, hashes: list[bytes], source: PeerVault, mirror: PeerVault | None) -> bool:
        """Take over objects; False where not all of them were to be had with the right bytes."""
        sizes = {each: copies[0][1].size for each, copies in locations_of(source.index(), set(hashes)).items()}
        if self._options.is_dry_run or mirror is None:
            self._count(sizes.values())
            return True
        repacking = Repacking(self._mirror, self._structure, os.urandom)
        try:
            fetched = source.fetch(set(hashes), repacking)
            packs = repacking.finish()
        except BaseException:
            repacking.abort()
            raise
        if packs:
            mirror.index().publish(packs)
        self._count(sizes[each] for each in fetched)
        lost = set(hashes) - fetched
        if not lost:
            return True
        missed = f"{pluralize(len(lost), 'object')} in use can't be had with the bytes that their links promise"
        if missed == self._missed:
            self.report.problems.append(f"{self._source.location()}: {missed}; repair the vault first")
        self._missed = missed
        return False

    def _count(self, sizes: Iterable[int]) -> None:
        for size in sizes:
            self.report.objects += 1
            self.report.object_bytes += size
        if self._progress is not None:
            self._progress(self.report)

    def _take_slots(self, slots: dict[str, tuple[MutableDirectoryVerify, bytes]]) -> None:
        for path, (_, state) in slots.items():
            found = self._mirror.get_versioned(path)
            if found is not None and found[0] == state:
                continue
            self._forward.require(path, state, None if found is None else found[0])
            self.report.states += 1
            if not self._options.is_dry_run:
                put_once(self._mirror, path, state, Expect.ABSENT if found is None else found[1])
        if self._options.is_dry_run:
            return
        roots = Roots(Register(self._mirror, "roots", self._keeper.roots, self._structure, NoMemory(), os.urandom))
        known = set(roots.read())
        for cap, _ in slots.values():
            if cap not in known:
                roots.add(cap, list)


class _SlotsOnTheWay:
    """Reads the slots that a walk comes to, and notes them as they were read."""

    def __init__(self, source: PeerVault, slots: Slots) -> None:
        self._source = source
        self._slots = slots
        self.found: dict[str, tuple[MutableDirectoryVerify, bytes]] = {}

    def links(self, link: Link) -> bytes:
        """Return a slot's links.

        Raises:
            DamageError: It is lost, or signed by somebody else.
            ConflictError: It changed while it was read.
        """
        cap = MutableDirectoryVerify(link.storage_index, link.hash)
        path = self._slots.path_of(cap.storage_index)
        state = self._source.slot(path, cap)
        if state is None:
            self._slots.read(cap)  # It says what is wrong.
            raise ConflictError(f"{path} changed while it was read: copy again")
        self.found[path] = (cap, state)
        return self._slots.links(cap, self._slots.state_of(cap, state))


def _raise(_link: Link, error: DamageError) -> None:
    raise error
