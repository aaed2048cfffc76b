"""A partial mirror: what hangs below some caps, object by object, sealed as it is. A keeper key suffices.

The mirror has an index and roots of its own. What hangs from the caps is found by following links in the vault; what the mirror has
not is packed anew there; the slots that were followed come last, and then their roots. So it is never ahead of its packs either.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from tallac.caps import MutableDirectoryVerify
from tallac.errors import ConflictError, DamageError, VaultNotFoundError
from tallac.interfaces import Backend, Expect
from tallac.vault.format.header import HEADER_NAMES, read_header
from tallac.vault.format.keys import KeeperKey
from tallac.vault.format.links import Link, LinkKind, decode_links, link_of
from tallac.vault.format.objects import object_name_of
from tallac.vault.index.seen_objects import SeenObjects
from tallac.vault.mirror.peer import PeerVault
from tallac.vault.mirror.report import MirrorOptions, MirrorProgress, MirrorReport
from tallac.vault.mirror.rollback_guard import ForwardCheck, MirrorMemory
from tallac.vault.mutable.conditional_put import put_once
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import Slots
from tallac.vault.prune.repack import Repacking
from tallac.vault.reading.object_reader import ObjectReader

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
        self._forward = ForwardCheck(source, mirror, keeper, MirrorMemory(None))
        self.report = MirrorReport()

    def run(self) -> None:
        """Copy.

        Raises:
            VaultNotFoundError: There is no vault to be copied, or the mirror's place holds something else.
            RollbackDetectedError: The mirror is newer than the vault.
            ConflictError: The vault changed all the while.
            StoreError: A store failed.
        """
        identity = self._begin()
        for _ in range(ROUNDS_MAX):
            source = PeerVault(self._source, identity, self._keeper)
            mirror = PeerVault(self._mirror, identity, self._keeper) if self._has_header() else None
            try:
                if self._copy(source, mirror):
                    return
            finally:
                source.close()
                if mirror is not None:
                    mirror.close()
        raise ConflictError(f"{self._source.location()} changed {ROUNDS_MAX} times while it was copied: copy it again")

    def _begin(self) -> str:
        """Make the mirror an empty vault of the same identity, or see that it is one; give the identity."""
        header = read_header(self._source)
        if self._has_header():
            if read_header(self._mirror).identity != header.identity:
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
            for name, key in (("index", self._keeper.locator_key.structure_key), ("roots", self._keeper.roots)):
                Register(self._mirror, name, key, NoMemory(), os.urandom).swap(lambda text: b"" if text is None else None)
        return header.identity

    def _has_header(self) -> bool:
        return any(self._mirror.get_versioned(name) is not None for name in HEADER_NAMES)

    def _copy(self, source: PeerVault, mirror: PeerVault | None) -> bool:
        """Copy what hangs below the caps as it is now; False where some of it moved or went meanwhile: then again."""
        walk = _Walk(ObjectReader(self._source, self._keeper.locator_key, source.index()), source, self._slots, self._keeper)
        batch: list[bytes] = []
        is_complete = True
        try:
            for name in walk.names(link_of(cap) for cap in self._options.only):
                if mirror is not None and mirror.index().find(name) is not None:
                    continue
                batch.append(name)
                if len(batch) >= BATCH_OBJECTS:
                    is_complete &= self._take(batch, source, mirror)
                    batch = []
        except DamageError as error:
            self.report.problems.append(f"{error}; repair the vault first")
            return True
        is_complete &= self._take(batch, source, mirror)
        if is_complete:
            self._take_slots(walk.slots)
        return is_complete

    def _take(self, names: list[bytes], source: PeerVault, mirror: PeerVault | None) -> bool:
        """Take over objects; False where not all of them were to be had."""
        sizes = dict.fromkeys(names, 0)
        for name in names:
            location = source.index().find(name)
            sizes[name] = 0 if location is None else location.size
        if self._options.is_dry_run or mirror is None:
            self._count(sizes.values())
            return True
        repacking = Repacking(self._mirror, self._keeper.locator_key.structure_key, os.urandom)
        try:
            fetched = source.fetch(names, repacking)
            packs = repacking.finish()
        except BaseException:
            repacking.abort()
            raise
        if packs:
            mirror.index().publish(packs)
        self._count(sizes[name] for name in fetched)
        return len(fetched) == len(names)

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
        roots = Roots(Register(self._mirror, "roots", self._keeper.roots, NoMemory(), os.urandom))
        known = set(roots.read())
        for cap, _ in slots.values():
            if cap not in known:
                roots.add(cap, list)


class _Walk:
    """Follows links from some caps in the vault, and notes the slots on the way, as they were read."""

    def __init__(self, reader: ObjectReader, source: PeerVault, slots: Slots, keeper: KeeperKey) -> None:
        self._reader = reader
        self._source = source
        self._slots = slots
        self._naming = keeper.locator_key.naming
        self._seen = SeenObjects(source.index())
        self.slots: dict[str, tuple[MutableDirectoryVerify, bytes]] = {}

    def names(self, tops: Iterable[Link]) -> Iterable[bytes]:
        """Iterate over the names of all objects below the caps, each once.

        Raises:
            DamageError: Something on the way can't be read.
        """
        waiting = list(tops)
        while waiting:
            link = waiting.pop()
            if link.kind is LinkKind.SLOT:
                waiting += self._below_slot(MutableDirectoryVerify(link.storage_index, link.hash))
                continue
            name = object_name_of(self._naming, link.storage_index)
            if name in self._seen:
                continue
            self._seen.add(name)
            waiting += self._reader.read_links(link)
            yield name

    def _below_slot(self, cap: MutableDirectoryVerify) -> list[Link]:
        path = self._slots.path_of(cap.storage_index)
        if path in self.slots:
            return []
        state = self._source.slot(path, cap)
        if state is None:
            self._slots.read(cap)  # It says what is wrong.
            raise ConflictError(f"{path} changed while it was read: copy again")
        self.slots[path] = (cap, state)
        return list(decode_links(self._slots.links(cap, self._slots.state_of(cap, state))))
