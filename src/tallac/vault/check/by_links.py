"""Check by links what hangs from caps or roots: everything is there, and every list and directory has the right bytes.

No content is opened, so a keeper or the holder of a verify cap can do it. What is wrong has no path; `CapCheck` names paths.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from types import MappingProxyType

from tallac.buckets import COUNT, Buckets
from tallac.caps import Cap, LiteralDirectory, LiteralFile, MutableDirectoryVerify, ReadCap, VerifyCap, WriteCap
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import CheckProgress, CheckReport, Finding
from tallac.vault.check.reachable import limit_findings
from tallac.vault.components import VaultComponents
from tallac.vault.distance import ask_anew
from tallac.vault.format.footers import FooterEntries, FooterEntry
from tallac.vault.format.links import Link, LinkKind, encode_link, link_of
from tallac.vault.format.objects import HASH_SIZE, NAME_SIZE, object_name_of
from tallac.vault.marking.census import Census, locations_of
from tallac.vault.marking.copies import CopyVerifier
from tallac.vault.marking.objects_in_pack import wrong_objects
from tallac.vault.marking.walk import Bits, LinkWalk

TRIES_MAX = 3
_PLACED = struct.Struct(f">IIII{HASH_SIZE}s")
_WHOLE = struct.Struct(f"{_PLACED.size}s")


def top_link(cap: Cap) -> bytes:
    """Return the link that leads where a cap does; empty for literal caps.

    Raises:
        AuthorityError: The cap was issued by another grid.
    """
    if isinstance(cap, WriteCap):
        cap = cap.read_cap
    if isinstance(cap, LiteralDirectory | LiteralFile):
        return b""
    verify = cap.verify_cap if isinstance(cap, ReadCap) else cap
    if not isinstance(verify, VerifyCap):
        raise AuthorityError(f"{cap} can't be checked in a vault: it belongs to another grid")
    return encode_link(link_of(verify))


class LinkCheck:
    """One check over the index as it is after a look at the packs."""

    def __init__(
        self,
        components: VaultComponents,
        *,
        read_data: bool = False,
        wrong: Mapping[bytes, Collection[int]] = MappingProxyType({}),
        progress: CheckProgress | None = None,
    ) -> None:
        """Prepare.

        Args:
            components: The vault; its index was refreshed, and its packs were looked at.
            read_data: Read every object that is in use, and compare its bytes.
            wrong: For some packs the offsets of copies that are known to have other bytes.
            progress: Called now and then with the report so far.
        """
        self._components = components
        self._index = components.index
        self._read_data = read_data
        self._wrong = dict(wrong)
        self._progress = progress
        self._damaged: list[tuple[Link, DamageError]] = []
        self.report = CheckReport()

    def check(self, tops: Iterable[bytes]) -> None:
        """Check everything below some links, as `top_link` gives them; once more where something is missing and the index moved."""
        tops = list(tops)
        for _ in range(TRIES_MAX):
            before = self._index.generation, self._index.absent_packs
            self._check(tops)
            if self.report.is_healthy:
                return
            ask_anew(self._components.backend)
            self._index.refresh()
            self._index.look_at_packs()
            if (self._index.generation, self._index.absent_packs) == before:
                return

    def _check(self, tops: list[bytes]) -> None:
        components, report = self._components, CheckReport()
        self.report, self._damaged = report, []
        walk = LinkWalk(
            components.backend,
            components.locator,
            self._index,
            damaged=self._note,
            open_slot=self._slot_links,
            only_present=True,
        )
        walk.follow(tops, lambda: self._count(walk))
        self._count(walk)
        there = self._index.packs().keys() - self._index.absent_packs
        if self._read_data:
            self._read(Census(self._index, walk.hashes, there).in_use, there)
        # What lies in packs that no index object names is claimed by their footers, which anybody can copy behind other bytes.
        census = Census(self._index, walk.hashes, there - self._index.unindexed_packs, self._wrong)
        proved = self._proved(census.missing, self._index.unindexed_packs & there)
        report.objects += census.found + len(proved)
        self._find(census.missing - proved)

    def _count(self, walk: LinkWalk) -> None:
        report = self.report
        report.files, report.directories, report.bytes_read = walk.files, walk.directories, walk.bytes_read
        if self._progress is not None:
            self._progress(report)

    def _slot_links(self, link: Link) -> bytes:
        slots, cap = self._components.slots, MutableDirectoryVerify(link.storage_index, link.hash)
        return slots.links(cap, slots.read(cap))

    def _proved(self, hashes: set[bytes], packs: Collection[bytes]) -> set[bytes]:
        """Return those of some hashes of which a copy in some packs has the right bytes."""
        verifier = CopyVerifier(self._components.backend)
        return {
            stored_hash
            for stored_hash, copies in (locations_of(self._index, hashes) if packs else {}).items()
            if any(location.pack in packs and verifier.is_right(location) for _, location in copies)
        }

    def _read(self, in_use: Bits, there: Collection[bytes]) -> None:
        """Read the records in use, pack by pack, and remember which are wrong."""
        for pack, entries in _entries_by_pack(self._components, in_use, there):
            try:
                wrong = wrong_objects(self._components.backend, pack, entries, self._count_bytes)
            except DamageError:
                wrong = {entry.offset for entry in entries}
            if wrong:
                self._wrong[pack] = {*self._wrong.get(pack, ()), *wrong}

    def _count_bytes(self, size: int) -> None:
        self.report.bytes_read += size
        if self._progress is not None:
            self._progress(self.report)

    def _note(self, link: Link, error: DamageError) -> None:
        self._damaged.append((link, error))

    def _find(self, missing: set[bytes]) -> None:
        """Turn what is missing into findings."""
        naming, location = self._components.locator.naming, self._components.backend.location()
        for link, error in self._damaged:
            missing.discard(link.hash)
            stored = "" if link.kind is LinkKind.SLOT else object_name_of(naming, link.storage_index).hex()
            self.report.findings.append(Finding(None, str(error), stored=stored))
        copies = locations_of(self._index, missing)
        for each in sorted(missing):
            state = "has no copy that is whole" if each in copies else "is missing"
            self.report.findings.append(Finding(None, f"object {each.hex()[:12]} {state} in {location}", stored=each.hex()))
        limit_findings(self.report)


def _entries_by_pack(components: VaultComponents, in_use: Bits, there: Collection[bytes]) -> Iterator[tuple[bytes, FooterEntries]]:
    """Iterate over the packs that are there, with its objects in use as the index lists them, in their order, without names."""
    names = sorted(there)
    numbers = {name: number for number, name in enumerate(names)}
    divided = Buckets()
    buckets, full_size = divided.recent, divided.full_size
    record = 0
    for run in components.index.runs():
        packs = [numbers.get(name) for name, _ in run.packs]
        for _, stored_hash, pack, offset, length, links_length in run.columns():
            number = packs[pack]
            if number is not None and record in in_use:
                # A pack's name is a hash, too.
                bucket = buckets[names[number][0]]
                bucket += _PLACED.pack(number, offset, length, links_length, stored_hash)
                if len(bucket) >= full_size:
                    divided.settle()
                    full_size = divided.full_size
            record += 1
    for first in range(COUNT):
        records = sorted(each for (each,) in _WHOLE.iter_unpack(divided.starting_with(first)))
        for number, placed in groupby(map(_PLACED.unpack, records), itemgetter(0)):
            yield names[number], FooterEntries(FooterEntry(bytes(NAME_SIZE), each[-1], *each[1:-1]) for each in placed)
