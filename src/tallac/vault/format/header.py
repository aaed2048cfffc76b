"""The vault's header: what makes a location a vault, readable without any key. Kept twice. And the names of its other objects.

tallac vault
format 2
id 32 hexadecimal digits, which follow from the two lines after the next
writer 64 digits: the public key of the writer's signer
keeper 64 digits: the public key of the keeper's signer
locator 32 digits: the check of the locator key
signature 128 digits, by the writer's signer, of the six lines above
check 16 digits of the BLAKE3 of the lines above

docs/format.md, "Header", is the specification. Nobody can make a header of a known vault but who has its writer key, and no key is
used at a vault before it has proved that it belongs there.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

import msgspec

from tallac.crypto.hashing import hash_file_bytes
from tallac.crypto.signing import is_signed_by
from tallac.errors import (
    AuthorityError,
    CorruptObjectError,
    MalformedObjectError,
    StoreError,
    UnsupportedFormatError,
    VaultNotFoundError,
)
from tallac.interfaces import Backend, Expect, Item
from tallac.vault.format import FORMAT_VERSION
from tallac.vault.format.keys import EnvelopeKey, KeeperKey, LocatorKey, WriterKey, vault_id_of
from tallac.vault.format.structure import Signers

HEADER_NAMES = ("header", "header.copy")
_MAGIC = b"tallac vault\n"
_NAMES = re.compile(r"(?:slots|sessions)/[0-9a-f]{32}|(?:packs|index)/[0-9a-f]{64}|registers/(?:index|roots|quarantine|settings)")
_FOLDERS = ("slots/", "sessions/", "packs/", "index/", "registers/")
_LINES = re.compile(
    rb"tallac vault\nformat 2\nid ([0-9a-f]{32})\nwriter ([0-9a-f]{64})\nkeeper ([0-9a-f]{64})\nlocator ([0-9a-f]{32})\n"
    rb"signature ([0-9a-f]{128})\ncheck [0-9a-f]{16}\n"
)


class Header(msgspec.Struct, frozen=True):
    """The content of a header.

    Attributes:
        signers: The vault's id, and the public keys that it follows from.
        locator_check: By these 16 bytes a locator key is known.
        signature: Of the lines before it, by the writer's signer.
    """

    signers: Signers
    locator_check: bytes
    signature: bytes

    @classmethod
    def of(cls, key: WriterKey) -> Header:
        """Return the header of the vault that a writer key is for. It is always the same."""
        signers, check = Signers.of(key), key.locator_key.check
        return cls(signers, check, key.signer.sign(_signed_lines(signers, check)))

    @property
    def identity(self) -> str:
        """The vault's id: 32 hexadecimal digits."""
        return self.signers.vault.hex()

    @property
    def is_genuine(self) -> bool:
        """Whether the id follows from the signers, and the signature is right."""
        signers = self.signers
        return signers.vault == vault_id_of(signers.writer, signers.keeper) and is_signed_by(
            signers.writer, self.signature, _signed_lines(signers, self.locator_check)
        )

    def encode(self) -> bytes:
        """Write the header."""
        text = _signed_lines(self.signers, self.locator_check) + f"signature {self.signature.hex()}\n".encode("ascii")
        return text + b"check " + _check_of(text) + b"\n"


def decode_header(text: bytes, location: str) -> Header:
    """Read a header, and verify that its id and its signature are right.

    Raises:
        VaultNotFoundError: It is none.
        UnsupportedFormatError: It is of a format that this Tallac does not know.
        CorruptObjectError: It is damaged, or somebody made it up.
    """
    if not text.startswith(_MAGIC):
        raise VaultNotFoundError(f"{location} holds no vault: its header is something else; choose another folder")
    number = text.split(b"\n")[1].removeprefix(b"format ")
    if text.startswith(_MAGIC + b"format ") and number.isdigit() and int(number[:9]) != FORMAT_VERSION:
        remedy = "needs a newer Tallac: update it" if int(number[:9]) > FORMAT_VERSION else "no released Tallac has written"
        raise UnsupportedFormatError(f"the vault at {location} has format {int(number[:9])}, which {remedy}")
    found = _LINES.fullmatch(text)
    if found is not None and _is_checked(text):
        vault, writer, keeper, check, signature = (bytes.fromhex(digits.decode("ascii")) for digits in found.groups())
        header = Header(Signers(vault, writer, keeper), check, signature)
        if header.is_genuine:
            return header
    raise CorruptObjectError(f"a header of the vault at {location} is damaged")


def prove(header: Header, key: WriterKey | KeeperKey | LocatorKey | EnvelopeKey, location: str) -> None:
    """Require that a key belongs to the vault of this header. Until then nothing is done with it, and nothing remembered of it.

    An envelope key only says so: what it opens is sealed with the vault's id.

    Raises:
        AuthorityError: It does not.
    """
    signers = header.signers
    if key.vault != signers.vault:
        raise AuthorityError(
            f"{location}: this {key.kind} key belongs to the vault {key.vault.hex()[:12]}, and the vault here is "
            f"{header.identity[:12]}; give the location or the key of the one you mean"
        )
    is_right = True
    if isinstance(key, WriterKey):
        is_right = key.signer.public == signers.writer
    if isinstance(key, WriterKey | KeeperKey):
        is_right = is_right and key.keeper_key.signer.public == signers.keeper
    if isinstance(key, WriterKey | KeeperKey | LocatorKey):
        is_right = is_right and key.locator_key.check == header.locator_check
    if not is_right:
        raise AuthorityError(
            f"{location}: this {key.kind} key names this vault and is none of its keys: somebody made it up; nothing was changed"
        )


def _signed_lines(signers: Signers, locator_check: bytes) -> bytes:
    lines = [f"format {FORMAT_VERSION}", f"id {signers.vault.hex()}", f"writer {signers.writer.hex()}"]
    lines += [f"keeper {signers.keeper.hex()}", f"locator {locator_check.hex()}"]
    return _MAGIC + "".join(f"{line}\n" for line in lines).encode("ascii")


def _check_of(text: bytes) -> bytes:
    return hash_file_bytes(text).hex()[:16].encode("ascii")


def _is_checked(text: bytes) -> bool:
    """Whether a header of any format ends with the right check of what stands before."""
    before, separator, check = text.rpartition(b"check ")
    return bool(separator) and check == _check_of(before) + b"\n"


def write_header(backend: Backend, header: Header, *, except_for: Container[str] = ()) -> None:
    """Write both copies, except for those that are known to be there.

    Raises:
        ConflictError: There is a header already.
    """
    for name in HEADER_NAMES:
        if name not in except_for:
            backend.put(name, header.encode(), expect=Expect.ABSENT)


def read_header(backend: Backend) -> Header:
    """Read the header, from whichever copy is whole.

    Raises:
        VaultNotFoundError: There is none.
        UnsupportedFormatError: The vault is of another format.
        CorruptObjectError: Both copies are damaged.
    """
    damage: StoreError | None = None
    for name in HEADER_NAMES:
        found = backend.get_versioned(name)
        if found is None:
            continue
        try:
            return decode_header(found[0], backend.location())
        except (CorruptObjectError, VaultNotFoundError) as error:
            damage = damage or error
        except UnsupportedFormatError as error:
            # One changed bit makes a larger number too, so the other copy is asked before an unproven claim is believed.
            if _is_checked(found[0]):
                raise
            damage = error
    if damage is not None:
        raise damage
    raise VaultNotFoundError(
        f"{backend.location()} holds no vault: check the folder, or create one with `tallac create-alias NAME --vault FOLDER`"
    )


def repair_headers(backend: Backend, header: Header, *, is_dry_run: bool) -> list[str]:
    """Write copies of the header anew that are missing or damaged; give their names.

    Raises:
        UnsupportedFormatError: The vault is of another format, or another one, and is left alone.
    """
    repaired = []
    for name in HEADER_NAMES:
        found = backend.get_versioned(name)
        if found is not None and found[0] == header.encode():
            continue
        if found is not None and _is_other(found[0], backend.location()):
            raise UnsupportedFormatError(f"{name} in {backend.location()} has another format, or belongs to another vault; ignored")
        repaired.append(name)
        if not is_dry_run:
            backend.put(name, header.encode(), expect=Expect.ABSENT if found is None else found[1])
    return repaired


def _is_other(text: bytes, location: str) -> bool:
    """Whether a header that is not the expected one is whole all the same; a right check alone proves nothing."""
    try:
        decode_header(text, location)
    except UnsupportedFormatError:
        return _is_checked(text)
    except (CorruptObjectError, VaultNotFoundError):
        return False
    return True


def check_headers(backend: Backend, identity: str) -> list[str]:
    """Return the damage to the two copies, a sentence each; the identity is the vault's 32 digits."""
    wrong = []
    for name in HEADER_NAMES:
        found = backend.get_versioned(name)
        if found is None:
            wrong.append(f"{name} is missing")
            continue
        try:
            if decode_header(found[0], backend.location()).identity != identity:
                raise MalformedObjectError("another vault's header")
        except (CorruptObjectError, VaultNotFoundError, UnsupportedFormatError):
            wrong.append(f"{name} is damaged")
    return wrong


def read_identity(backend: Backend) -> str:
    """Return the identity of the vault at a location: 32 hexadecimal digits, which follow from its signers.

    Raises:
        VaultNotFoundError, UnsupportedFormatError, CorruptObjectError: There is no vault that this Tallac can use.
    """
    return read_header(backend).identity


def is_stored_name(name: str) -> bool:
    """Return whether an object of a vault can have this name.

    What can't (`desktop.ini`, or another program's copy of an object) is left alone: nothing of the vault is lost by it, and one
    such file must not stop a prune.
    """
    return not name.startswith(_FOLDERS) or _NAMES.fullmatch(name) is not None


def list_objects(backend: Backend, prefix: str) -> Iterator[Item]:
    """Iterate over the objects with this prefix, without what can't be one."""
    return (item for item in backend.list(prefix) if is_stored_name(item.name))
