"""Passphrases: each opens an object in the vault, and in it lies the key of its user's envelope. docs/format.md, "Passphrases".

Whoever reads the vault's files can try passphrases against these objects, at the price of one Argon2id each. Nothing else in a
vault is protected by something that a person made up. Who may only add files can add objects like these; so the ones that a writer
or keeper has stamped are tried first, and of the others no more than cost a quarter of a minute.
"""

from __future__ import annotations

import hmac
import re
import struct
from collections.abc import Iterable

import msgspec

from tallac.crypto.hashing import keyed, tag_key
from tallac.crypto.passphrases import SALT_SIZE as ARGON2_SALT_SIZE, PassphraseCost, stretch
from tallac.crypto.sealing import SALT_SIZE, open_sealed, seal_checked
from tallac.errors import CorruptObjectError, MalformedObjectError, StoreError, UsageError, WrongPassphraseError
from tallac.interfaces import Backend, Clock, Expect, Randomness
from tallac.vault.access.duplicates import add_check, duplicate_paths, read_duplicated, without_copy
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.keys import KEY_SIZE, EnvelopeKey, KeeperKey, LocatorKey, WriterKey
from tallac.vault.format.structure import Signers

PASSPHRASE_PREFIX = "passphrases/"  # noqa: S105 - a place, not a secret.
PASSPHRASES_MAX = 32
LABEL_SIZE_MAX = 200
COST = PassphraseCost(memory_kib=128 << 10, passes=4, lanes=4)
MEMORY_KIB_MAX = 1 << 20
WORK_KIB_MAX = 4 << 20
STORED_SIZE_MAX = 1024
"""Longer objects are none of a passphrase; the longest of these has less than half of it."""
LANES_MAX = 16

_NAME = re.compile(r"[0-9a-f]{32}")
_ALGORITHM = "argon2id"
_COMMITMENT_TAG = tag_key("tallac vault 2 passphrase commitment")
_KEY_TAG = tag_key("tallac vault 2 passphrase key")
_PURPOSE = b"passphrase"
_MADE = struct.Struct(">Q")


class _Stored(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    algorithm: str
    memory_kib: int
    passes: int
    lanes: int
    salt: bytes
    commitment: bytes
    sealed_key: bytes
    sealed_label: bytes
    stamp: bytes = b""

    @property
    def cost(self) -> PassphraseCost:
        return PassphraseCost(self.memory_kib, self.passes, self.lanes)

    def fields(self) -> list[object]:
        """Return what is stored: without a stamp where its maker has no signer."""
        return list(msgspec.structs.astuple(self))[: None if self.stamp else -1]

    def stamped(self, path: str) -> bytes:
        """Return what a stamp is of: all else, in its place."""
        return msgspec.msgpack.encode([path, *msgspec.structs.astuple(self)[:-1]])


class PassphraseInfo(msgspec.Struct, frozen=True):
    """Facts about a passphrase, without the passphrase itself.

    Attributes:
        path: The object that it opens.
        label: What the user calls it.
        made_ns: When it was set, by the clock of the machine that did.
    """

    path: str
    label: str
    made_ns: int


class _Found(msgspec.Struct):
    """All that lies among the passphrases.

    Attributes:
        stored: Objects that can be tried, by path.
        stamped: Those of them that a writer or keeper of the vault has made.
        unusable: What is wrong with the others.
    """

    stored: dict[str, _Stored]
    stamped: set[str]
    unusable: list[str]

    def tried(self) -> list[str]:
        """Return those that are tried, in this order: of the stamped ones, and then of the others, no more than there may be."""
        others = self.stored.keys() - self.stamped
        return self._affordable(self.stamped) + self._affordable(others)

    def _affordable(self, paths: Iterable[str]) -> list[str]:
        chosen, work_kib = [], 0
        for path in sorted(paths)[:PASSPHRASES_MAX]:
            stored = self.stored[path]
            work_kib += stored.memory_kib * stored.passes
            if work_kib > PASSPHRASES_MAX * COST.memory_kib * COST.passes:
                break
            chosen.append(path)
        return chosen


class Passphrases:
    """The passphrases of one vault, of all its users."""

    def __init__(
        self,
        backend: Backend,
        signers: Signers,
        *,
        key: WriterKey | KeeperKey | LocatorKey | None = None,
        randomness: Randomness,
        clock: Clock,
        cost: PassphraseCost = COST,
    ) -> None:
        """Look at the vault that has these signers. New passphrases get a stamp by the key, if that has a signer."""
        self._backend = backend
        self._signers = signers
        self._signing_key = None if isinstance(key, LocatorKey) else key
        self._identity = signers.vault
        self._randomness = randomness
        self._clock = clock
        self._cost = cost

    def _found(self) -> _Found:
        """Read all of them; what does not follow the format is passed over, since everybody may have put it there who can add."""
        found = _Found({}, set(), [])
        sizes: dict[str, int] = {}
        for item in self._backend.list(PASSPHRASE_PREFIX):
            path = without_copy(item.name)
            if _NAME.fullmatch(path.removeprefix(PASSPHRASE_PREFIX)):
                sizes[path] = max(item.size, sizes.get(path, 0))
        for path, size in sorted(sizes.items()):
            try:
                if size > STORED_SIZE_MAX:
                    raise MalformedObjectError(f"the vault's {path} is too long for a passphrase")
                stored = self._read(path)
            except CorruptObjectError as error:
                found.unusable.append(str(error))
            else:
                if stored is not None:
                    found.stored[path] = stored
                    if self._signers.have_stamped(_PURPOSE, stored.stamped(path), stored.stamp):
                        found.stamped.add(path)
        return found

    def require_any(self) -> None:
        """Require that there is something that a passphrase opens.

        Raises:
            WrongPassphraseError: There is nothing.
            CorruptObjectError: There is nothing that is whole.
        """
        self._require_any(self._found())

    def _require_any(self, found: _Found) -> None:
        where = self._backend.location()
        if not found.stored and found.unusable:
            raise CorruptObjectError(f"{where}: no passphrase of this vault can be tried{_but(found)}; use --recovery-kit FILE")
        if not found.stored:
            raise WrongPassphraseError(
                f"{where}: no passphrase is set on this vault; use --recovery-kit FILE, or bring back a copy of the configuration"
            )

    def add(self, passphrase: str, label: str, key: EnvelopeKey) -> str:
        """Add a passphrase that opens an envelope, and return its object's name; durable when this returns.

        Raises:
            UsageError: The label is too long, or there are too many passphrases.
        """
        if not label.isprintable() or not 0 < len(label.encode("utf-8", "replace")) <= LABEL_SIZE_MAX:
            raise UsageError(f"a label has at most {LABEL_SIZE_MAX} bytes and no control characters")
        found = self._found()
        if len(found.stored if self._signing_key is None else found.stamped) >= PASSPHRASES_MAX:
            raise UsageError(f"this vault has {PASSPHRASES_MAX} passphrases, the maximum: remove one first")
        path = PASSPHRASE_PREFIX + self._randomness(16).hex()
        salt = self._randomness(ARGON2_SALT_SIZE)
        stretched = stretch(passphrase, salt, self._cost)
        text = _MADE.pack(self._clock.now_ns()) + label.encode("utf-8", "replace").ljust(LABEL_SIZE_MAX, b"\0")
        stored = _Stored(
            algorithm=_ALGORITHM,
            memory_kib=self._cost.memory_kib,
            passes=self._cost.passes,
            lanes=self._cost.lanes,
            salt=salt,
            commitment=keyed(_COMMITMENT_TAG, stretched),
            sealed_key=seal_checked(
                keyed(_KEY_TAG, stretched), self._randomness(SALT_SIZE), key.secret, self._context("passphrase", path)
            ),
            sealed_label=seal_checked(key.labels, self._randomness(SALT_SIZE), text, self._context("label", path)),
        )
        if self._signing_key is not None:
            stamp = self._signing_key.sign(self._signers.stamped(_PURPOSE, stored.stamped(path)))
            stored = msgspec.structs.replace(stored, stamp=stamp)
        for name in duplicate_paths(path):
            self._backend.put(name, add_check(msgspec.msgpack.encode(stored.fields())), expect=Expect.ABSENT)
        return path

    def open(self, passphrase: str) -> EnvelopeKey:
        """Return the key of the envelope that a passphrase leads to.

        Raises:
            WrongPassphraseError: It leads to none.
            CorruptObjectError: It leads to none, and one that it might have opened is damaged.
            StoreError: It leads to none that was tried, and there are more than that.
        """
        found = self._found()
        self._require_any(found)
        where = self._backend.location()
        tried = found.tried()
        for path in tried:
            try:
                key = self._open_one(path, found.stored[path], passphrase)
            except CorruptObjectError as error:
                found.unusable.append(str(error))
                continue
            if key is not None:
                return key
        if len(tried) < len(found.stored):
            raise StoreError(
                f"{where}: this passphrase fits none of the {len(tried)} that were tried; {len(found.stored) - len(tried)} more "
                "are there, which is more than anybody sets: somebody who has no key of this vault has added them; "
                "use --recovery-kit FILE"
            )
        if found.unusable:
            raise CorruptObjectError(f"{where}: this passphrase fits none that can be tried{_but(found)}")
        raise WrongPassphraseError(f"{where}: wrong passphrase")

    def of(self, key: EnvelopeKey) -> list[PassphraseInfo]:
        """List the passphrases that lead to an envelope, the oldest first; without other users', and without damaged ones."""
        found = []
        for path, stored in self._found().stored.items():
            try:
                text = open_sealed(key.labels, stored.sealed_label, self._context("label", path))
            except CorruptObjectError:
                continue  # Another user's label does not open.
            if len(text) == _MADE.size + LABEL_SIZE_MAX:
                label = text[_MADE.size :].rstrip(b"\0").decode("utf-8", "replace")
                found.append(PassphraseInfo(path, label, *_MADE.unpack_from(text)))
        return sorted(found, key=lambda known: (known.made_ns, known.path))

    def remove(self, path: str) -> None:
        """Remove a passphrase. Removing it again does no harm."""
        for name in duplicate_paths(path):
            self._backend.delete(name)

    def _open_one(self, path: str, stored: _Stored, passphrase: str) -> EnvelopeKey | None:
        stretched = stretch(passphrase, stored.salt, stored.cost)
        # AES-GCM alone would let whoever made the object find a ciphertext that opens under several passphrases at once
        # (Len, Grubbs and Ristenpart, "Partitioning Oracle Attacks", USENIX Security 2021).
        if not hmac.compare_digest(stored.commitment, keyed(_COMMITMENT_TAG, stretched)):
            return None
        secret = open_sealed(keyed(_KEY_TAG, stretched), stored.sealed_key, self._context("passphrase", path))
        if len(secret) != KEY_SIZE:
            raise MalformedObjectError(f"the vault's {path} holds no envelope key")
        return EnvelopeKey(secret, self._identity)

    def _read(self, path: str) -> _Stored | None:
        body = read_duplicated(self._backend, path)
        return None if body is None else decode_passphrase(body, path)

    def _context(self, kind: str, path: str) -> bytes:
        return kind.encode("ascii") + bytes((FORMAT_VERSION,)) + self._identity + path.encode("ascii")


def _but(found: _Found) -> str:
    """Name what can't be tried, once for all of it."""
    if not found.unusable:
        return ""
    more = f", and {len(found.unusable) - 1} more" if len(found.unusable) > 1 else ""
    return f": {found.unusable[0]}{more}"


def decode_passphrase(body: bytes, path: str) -> _Stored:
    """Read a passphrase object, and refuse one that would cost too much to try: the store that it comes from may be hostile.

    Raises:
        MalformedObjectError: It does not follow the format, or is beyond its bounds.
    """
    try:
        stored = msgspec.msgpack.decode(body, type=_Stored)
        is_canonical = msgspec.msgpack.encode(stored.fields()) == body
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedObjectError(f"the vault's {path} does not follow the format: {error}") from None
    memory, passes, lanes = stored.memory_kib, stored.passes, stored.lanes
    is_bounded = 1 <= lanes <= LANES_MAX and 8 * lanes <= memory <= MEMORY_KIB_MAX and 1 <= passes <= WORK_KIB_MAX // memory
    if stored.algorithm != _ALGORITHM or not is_bounded or not is_canonical or len(stored.salt) != ARGON2_SALT_SIZE:
        raise MalformedObjectError(f"the vault's {path} is beyond the bounds of the format")
    return stored
