"""The vault's header: what makes a location a vault, readable without any key. Kept twice. And the names of its other objects.

tallac vault
format 1
id 32 hexadecimal digits
check 16 hexadecimal digits of the BLAKE3 of the lines above
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

import msgspec

from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import CorruptObjectError, MalformedObjectError, StoreError, UnsupportedFormatError, VaultNotFoundError
from tallac.interfaces import Backend, Expect, Item
from tallac.vault.format import FORMAT_VERSION

HEADER_NAMES = ("header", "header.copy")
_MAGIC = b"tallac vault\n"
_NAMES = re.compile(r"(?:slots|sessions)/[0-9a-f]{32}|(?:packs|index)/[0-9a-f]{64}|registers/(?:index|roots|quarantine)")
_FOLDERS = ("slots/", "sessions/", "packs/", "index/", "registers/")
_IDENTITY_LINE = re.compile(rb"id ([0-9a-f]{32})")


class Header(msgspec.Struct, frozen=True):
    """The content of a header.

    Attributes:
        format_version: Which docs/format.md describes the rest.
        identity: 32 hexadecimal digits, made up at random when the vault is made.
    """

    format_version: int
    identity: str

    def encode(self) -> bytes:
        """Write the header."""
        text = _MAGIC + f"format {self.format_version}\nid {self.identity}\n".encode("ascii")
        return text + b"check " + hash_file_bytes(text).hex()[:16].encode("ascii") + b"\n"


def decode_header(text: bytes, location: str) -> Header:
    """Read a header.

    Raises:
        VaultNotFoundError: It is none.
        UnsupportedFormatError: It is of a format that this Tallac does not know.
        CorruptObjectError: It is damaged.
    """
    if not text.startswith(_MAGIC):
        raise VaultNotFoundError(f"{location} holds no vault: its header is something else; choose another folder")
    lines = text.split(b"\n")
    version = lines[1].removeprefix(b"format ")
    if lines[1].startswith(b"format ") and version.isdigit() and int(version[:9]) > FORMAT_VERSION:
        raise UnsupportedFormatError(
            f"the vault at {location} has format {int(version[:9])}, which needs a newer Tallac: update it"
        )
    identity = _IDENTITY_LINE.fullmatch(lines[2]) if len(lines) > 3 else None
    header = None if identity is None else Header(FORMAT_VERSION, identity[1].decode("ascii"))
    if header is None or header.encode() != text or header.identity.strip("0123456789abcdef"):
        raise CorruptObjectError(f"a header of the vault at {location} is damaged")
    return header


def _is_checked(text: bytes) -> bool:
    """Whether a header of any format ends with the right check of what stands before."""
    before, separator, check = text.rpartition(b"check ")
    return bool(separator) and check == hash_file_bytes(before).hex()[:16].encode("ascii") + b"\n"


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
        UnsupportedFormatError: The vault is of a newer format.
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


def repair_headers(backend: Backend, identity: str, *, is_dry_run: bool) -> list[str]:
    """Write copies of the header anew that are missing or damaged; give their names.

    Raises:
        UnsupportedFormatError: The vault is of a newer format, and is left alone.
    """
    repaired = []
    for name in HEADER_NAMES:
        found = backend.get_versioned(name)
        if found is not None and found[0] == Header(FORMAT_VERSION, identity).encode():
            continue
        if found is not None and _is_checked(found[0]) and found[0].startswith(_MAGIC):
            raise UnsupportedFormatError(f"{name} in {backend.location()} has another format, or belongs to another vault; ignored")
        repaired.append(name)
        if not is_dry_run:
            backend.put(name, Header(FORMAT_VERSION, identity).encode(), expect=Expect.ABSENT if found is None else found[1])
    return repaired


def check_headers(backend: Backend, identity: str) -> list[str]:
    """Iterate over the damage to the two copies, a sentence each."""
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
    """Return the identity of the vault at a location: 32 hexadecimal digits.

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
