"""Copy a vault, as a whole and incrementally, to a mirror that is never ahead of its packs. No key is needed.

Registers and slots of the vault are read first, then all packs and index objects are copied, and only then do the mirror's
registers and slots become what was read. What a prune deletes meanwhile shows in the pending deletions, and the copy begins again
with what changed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress

from tallac.crypto.hashing import Hasher, hash_file_bytes
from tallac.errors import (
    AuthorityError,
    ConflictError,
    CorruptObjectError,
    DamageError,
    ObjectNotFoundError,
    StoreError,
    VaultNotFoundError,
)
from tallac.interfaces import Backend, Expect, Version
from tallac.vault.access.duplicates import copy_duplicates
from tallac.vault.access.envelopes import ENVELOPE_PREFIX
from tallac.vault.access.passphrases import PASSPHRASE_PREFIX
from tallac.vault.format.footers import FooterEntries, names_in
from tallac.vault.format.header import HEADER_NAMES, Header, prove, read_header
from tallac.vault.format.keys import KeeperKey, LocatorKey
from tallac.vault.format.structure import Structure
from tallac.vault.index.index_objects import INDEX_PREFIX, IndexStore, index_path
from tallac.vault.marking.copies import CopyVerifier
from tallac.vault.mirror.peer import PeerVault
from tallac.vault.mirror.report import MirrorOptions, MirrorProgress, MirrorReport
from tallac.vault.mirror.rollback_guard import INDEX_STATE, ForwardCheck, MirrorMemory, list_twice, read_states
from tallac.vault.mirror.verify import PackReader
from tallac.vault.mutable.conditional_put import put_once
from tallac.vault.mutable.pending_deletions import PENDING_PATH, PendingDeletions, pending_deletions_of
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.roots import Roots
from tallac.vault.mutable.slots import SLOT_PREFIX, Slots
from tallac.vault.packs.pack import PACK_PREFIX, StoredPacks, pack_path
from tallac.vault.packs.verifier import STEP_SIZE
from tallac.vault.prune.mark import Marker
from tallac.vault.prune.plan import Survey

ROUNDS_MAX = 10
LACKING_MAX = 20

_PACK = re.compile(f"{PACK_PREFIX}[0-9a-f]{{64}}")
_INDEX_OBJECT = re.compile(f"{INDEX_PREFIX}[0-9a-f]{{64}}")


class VaultCopy:
    """One copy of a vault to a mirror. Interrupted at any point it harms nothing, and the next one goes on."""

    def __init__(
        self,
        source: Backend,
        mirror: Backend,
        key: KeeperKey | LocatorKey | None,
        memory: MirrorMemory,
        options: MirrorOptions,
        progress: MirrorProgress | None = None,
    ) -> None:
        """Prepare; nothing is read yet. The key makes sure that the mirror's slots only go forward; see `MirrorMemory`."""
        self._source = source
        self._mirror = mirror
        self._key = key
        self._memory = memory
        self._options = options
        self._progress = progress
        self._looked_at: set[str] = set()
        self._roots: set[str] | None = None
        self._indexed: dict[str, int] = {}
        self._index_objects: list[str] = []
        self.report = MirrorReport()

    def run(self) -> None:
        """Copy.

        Raises:
            VaultNotFoundError: There is no vault to be copied, or the mirror's place holds something else.
            RollbackDetectedError: The mirror is newer than the vault.
            ConflictError: The vault changed all the while, or somebody else changed the mirror; copy again.
            StoreError: A store failed.
        """
        if self._options.deletes and not isinstance(self._key, KeeperKey):
            raise AuthorityError("--delete requires the keeper key: give it with --vault-key")
        header = self._copy_header()
        self._forward = ForwardCheck(self._source, self._mirror, self._key, header.signers, self._memory)
        self._structure = None if self._key is None else Structure(self._key, header.signers)
        self._packs = PackReader(self._mirror, self._structure)
        for _ in range(ROUNDS_MAX):
            states = read_states(self._source)
            self._require_forward(states)
            self._read_index(states)
            self._copy_packs()
            self._copy_index()
            if self.report.problems or self._options.is_dry_run or self._is_unchanged(states):
                break
        else:
            raise ConflictError(f"{self._source.location()} changed {ROUNDS_MAX} times while it was copied: copy it again")
        if not self._options.is_dry_run:
            copy_duplicates(self._source, self._mirror, (PASSPHRASE_PREFIX, ENVELOPE_PREFIX))
        if not self.report.problems:
            self._take_states(states)
            if self._options.deletes:
                self._delete(header)
            self._verify(header)

    def _copy_header(self) -> Header:
        """Make the mirror this vault's, or see that it is.

        Raises:
            AuthorityError: The key is none of the vault that has this header.
        """
        header = read_header(self._source)
        if self._key is not None:
            prove(header, self._key, self._source.location())
        try:
            found = read_header(self._mirror).signers
        except VaultNotFoundError:
            if any(True for _ in self._mirror.list("")):
                raise VaultNotFoundError(
                    f"{self._mirror.location()} contains something other than a vault: a mirror needs an empty folder, or its own"
                ) from None
            found = None
        if found is not None and found != header.signers:
            raise VaultNotFoundError(
                f"{self._mirror.location()} contains another vault: give an empty folder, or this vault's mirror"
            )
        for name in HEADER_NAMES if not self._options.is_dry_run else ():
            if self._mirror.get_versioned(name) is None:
                put_once(self._mirror, name, header.encode(), Expect.ABSENT)
        return header

    def _require_forward(self, states: dict[str, bytes]) -> None:
        """Require that all states go forward; leave out what lies among the slots, is none, and was never in the mirror."""
        noise = []
        for name, content, mirrored in self._changed(states):
            try:
                self._forward.require(name, content, None if mirrored is None else mirrored[0])
            except DamageError as error:
                if mirrored is None and name.startswith(SLOT_PREFIX) and not self._is_root(name):
                    noise.append(name)
                else:
                    self.report.problems.append(f"{name} is damaged ({error}); repair the vault first, with --from this mirror")
        for name in noise:
            del states[name]
        said = [f"{name} is nothing that a writer of this vault has made; not copied" for name in noise]
        self.report.ignored += [message for message in said if message not in self.report.ignored]

    def _is_root(self, path: str) -> bool:
        """Whether a slot is among the vault's roots; True where that can't be read, so that nothing is left out that may be one."""
        if self._roots is None:
            if not isinstance(self._key, KeeperKey) or self._structure is None:
                return True
            register = Register(self._source, "roots", self._key.roots, self._structure, NoMemory(), os.urandom)
            slots = Slots(self._source, self._key.locator_key, NoMemory(), os.urandom)
            try:
                self._roots = {slots.path_of(cap.storage_index) for cap in Roots(register).read()}
            except DamageError:
                return True
        return path in self._roots

    def _changed(self, states: dict[str, bytes]) -> Iterator[tuple[str, bytes, tuple[bytes, Version] | None]]:
        """Return the states that the mirror lacks, each with what it has instead."""
        for name, content in states.items():
            found = self._mirror.get_versioned(name)
            if found is None or found[0] != content:
                yield name, content, found

    def _is_unchanged(self, states: dict[str, bytes]) -> bool:
        """Whether nothing was taken away since the states were read: who deletes swaps one of these before."""
        return all(
            (None if (found := self._source.get_versioned(name)) is None else found[0]) == states.get(name)
            for name in (INDEX_STATE, PENDING_PATH)
        )

    # Packs and index objects

    def _copy_packs(self) -> None:
        there = {item.name: item.size for item in self._mirror.list(PACK_PREFIX)}
        listed = list_twice(self._source, PACK_PREFIX)
        wanted = dict(self._indexed)
        for name, size in listed.items():
            if _PACK.fullmatch(name) and name not in wanted and self._is_made(name, size):
                wanted[name] = size
        missing = []
        for name, size in sorted(wanted.items()):
            if there.get(name) != size or self._is_damaged(name, size):
                missing.append(name)
        self.report.pack_bytes_total = self.report.pack_bytes + sum(wanted[name] for name in missing)
        for name in missing:
            if self._options.is_dry_run:
                self._count(wanted[name], is_replaced=name in there)
            else:
                self._copy_pack(name, wanted[name], is_replaced=name in there)

    def _read_index(self, states: dict[str, bytes]) -> None:
        """Note what index objects and packs the vault has, for whoever can read that: a listing may leave some out."""
        self._indexed, self._index_objects = {}, []
        if self._structure is None or INDEX_STATE not in states:
            return
        store = IndexStore(self._source, self._structure, os.urandom)
        register = Register(self._source, "index", self._structure.secret, self._structure, NoMemory(), os.urandom)
        with suppress(DamageError):  # Where the index is damaged, the listings have to do.
            names = names_in(register.decode(states[INDEX_STATE]).text)
            self._index_objects = [index_path(name) for name in names]
            for name in names:
                self._indexed |= {pack_path(pack.name): pack.size for pack in store.get(name)}

    def _is_made(self, name: str, size: int) -> bool:
        """Whether a pack that no index names is what a writer or keeper has stamped; without a key that can't be told."""
        if self._structure is None:
            return True
        if StoredPacks(self._source, self._structure).proved({bytes.fromhex(_digits(name)): size}):
            return True
        message = f"{name} is nothing that a writer or keeper of this vault has made; not copied"
        if _is_there(self._source, name) and message not in self.report.ignored:
            self.report.ignored.append(message)
        return False

    def _is_damaged(self, name: str, size: int) -> bool:
        if not self._options.verifies or name in self._looked_at:
            return False
        self._looked_at.add(name)
        return not self._packs.is_whole(bytes.fromhex(_digits(name)), size)

    def _copy_pack(self, name: str, size: int, *, is_replaced: bool) -> None:
        """Copy a pack, comparing its hash with its name while it is read, and again, with its objects' hashes, as it comes back."""
        try:
            self._transfer(name, is_replaced=is_replaced)
        except ObjectNotFoundError:
            return  # A prune was faster; the pending deletions say so, and the next round looks again.
        except DamageError as error:
            self.report.problems.append(str(error))
            return
        if not self._packs.is_whole(bytes.fromhex(_digits(name)), size):
            self._mirror.delete(name)
            raise StoreError(
                f"{self._mirror.location()} does not give back what was stored as {name}: check the disk, and copy again"
            )
        self._looked_at.add(name)
        self._count(size, is_replaced=is_replaced)

    def _transfer(self, name: str, *, is_replaced: bool) -> None:
        upload = self._mirror.upload()
        try:
            hasher, offset = Hasher(), 0
            while part := self._source.get(name, offset, offset + STEP_SIZE):
                hasher.update(part)
                upload.write(part)
                offset += len(part)
            if hasher.digest().hex() != _digits(name):
                raise CorruptObjectError(
                    f"pack {_digits(name)[:12]} in {self._source.location()} is damaged: repair the vault first"
                )
            if is_replaced:
                self._mirror.delete(name)
            upload.commit(name)
        finally:
            upload.abort()

    def _copy_index(self) -> None:
        there = {item.name for item in self._mirror.list(INDEX_PREFIX)}
        for name in sorted({*list_twice(self._source, INDEX_PREFIX), *self._index_objects} - there):
            content = self._index_object(name) if _INDEX_OBJECT.fullmatch(name) else None
            if content is not None:
                self.report.index_objects += 1
                if not self._options.is_dry_run:
                    put_once(self._mirror, name, content, Expect.ABSENT)

    def _index_object(self, name: str) -> bytes | None:
        """Read an index object; None where it is damaged, which is no loss: the index can be made again from the packs."""
        for _ in range(2):
            found = self._source.get_versioned(name)
            if found is not None and hash_file_bytes(found[0]).hex() == _digits(name):
                return found[0]
        return None

    def _count(self, size: int, *, is_replaced: bool) -> None:
        self.report.packs += 1
        self.report.pack_bytes += size
        self.report.replaced_packs += is_replaced
        if self._progress is not None:
            self._progress(self.report)

    # Registers and slots

    def _take_states(self, states: dict[str, bytes]) -> None:
        changed = list(self._changed(states))
        self.report.states += len(changed)
        if self._options.is_dry_run:
            return
        for name, content, found in changed:
            put_once(self._mirror, name, content, Expect.ABSENT if found is None else found[1])
        self._memory.remember(states)
        left = {*list_twice(self._source, INDEX_PREFIX), *self._index_objects}
        for item in list(self._mirror.list(INDEX_PREFIX)):
            if item.name not in left:
                self._mirror.delete(item.name)

    def _verify(self, header: Header) -> None:
        """Follow the mirror's links from its roots, where something has changed or all was read, and name what is not there."""
        is_changed = bool(self.report.packs or self.report.states or self._options.verifies)
        if not isinstance(self._key, KeeperKey) or self._options.is_dry_run or not is_changed:
            return
        peer = PeerVault(self._mirror, header, self._key)
        try:
            lacking = peer.lacking(self._packs.wrong)
        finally:
            peer.close()
        if len(lacking) > LACKING_MAX:
            lacking[LACKING_MAX:] = [f"and {len(lacking) - LACKING_MAX:,} more like these"]
        advice = "although the vault was copied: run `tallac check --read-data` on the vault, and repair it"
        self.report.problems += [f"{message}, {advice}" for message in lacking]

    def _delete(self, header: Header) -> None:
        """Delete what a prune of the vault has deleted, as a prune of the mirror's own: nothing goes that is in use here.

        What a listing leaves out is not deleted; it may be a loss. What the vault's pending deletions say is what may be looked at.
        """
        assert isinstance(self._key, KeeperKey)
        assert self._structure is not None
        there = {item.name: item.size for item in self._mirror.list(PACK_PREFIX)}
        register = Register(self._source, "quarantine", self._key.roots, self._structure, NoMemory(), os.urandom)
        pending = pending_deletions_of(register.read())
        deleted = {
            pack: entry
            for pack, entry in pending.packs.items()
            if pending.is_deleted(pack) and pack_path(pack) in there and not _is_there(self._source, pack_path(pack))
        }
        if not deleted:
            return
        in_use = self._in_use(header, PendingDeletions(pending.number, deleted), {pack: there[pack_path(pack)] for pack in deleted})
        for pack in sorted(in_use):
            self.report.problems.append(
                f"pack {pack.hex()[:12]} was deleted from the vault, and the mirror needs something in it: not deleted here; "
                "get it back with `tallac repair --from`, and find out who deleted it"
            )
        for pack in deleted.keys() - in_use:
            if not self._options.is_dry_run:
                self._mirror.delete(pack_path(pack))
            self.report.deleted_packs += 1
            self.report.deleted_bytes += there[pack_path(pack)]

    def _in_use(self, header: Header, going: PendingDeletions, sizes: dict[bytes, int]) -> set[bytes]:
        """Return the packs of the mirror that have the only right copy of something that hangs from the mirror's roots.

        Raises:
            DamageError: Something in use can't be followed, and nothing can be deleted.
        """
        assert isinstance(self._key, KeeperKey)
        assert self._structure is not None
        peer = PeerVault(self._mirror, header, self._key)
        try:
            index, secret = peer.index(), self._key.roots
            slots = Slots(self._mirror, self._key.locator_key, NoMemory(), os.urandom)
            roots = Roots(Register(self._mirror, "roots", secret, self._structure, NoMemory(), os.urandom))
            pending = Register(self._mirror, "quarantine", secret, self._structure, NoMemory(), os.urandom)
            marks = Marker(self._mirror, self._key, index, slots, roots, pending).mark([])
            survey = Survey(index, marks, CopyVerifier(self._mirror))
            packs = StoredPacks(self._mirror, self._structure)
            listed = {pack.name: FooterEntries.of(pack.body) for pack in packs.footers({pack: sizes[pack] for pack in going.packs})}
            return survey.needed(going) | survey.contradicted(listed, going)
        finally:
            peer.close()


def _is_there(backend: Backend, name: str) -> bool:
    try:
        backend.get(name, 0, 1)
    except ObjectNotFoundError:
        return False
    return True


def _digits(name: str) -> str:
    return name.partition("/")[2]
