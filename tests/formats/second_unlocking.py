"""Open a vault in a folder with a passphrase, written from docs/format.md alone, section 12."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

import msgspec
from blake3 import blake3
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from tests.formats.second_reader import FormatError, V, keyed, matched, require, unpad, unseal


class Found(NamedTuple):
    """What a passphrase leads to."""

    label: str
    set_ns: int
    vault_key: str
    aliases: list[tuple[str, str]]


class _Passphrase(NamedTuple):
    algorithm: str
    memory_kib: int
    passes: int
    lanes: int
    salt: bytes
    commitment: bytes
    sealed_key: bytes
    sealed_label: bytes


def unlock(folder: Path, passphrase: str) -> Found:
    """Try all passphrases that are set, and read the envelope that this one leads to."""
    names = sorted(path.name for path in (folder / "passphrases").glob("*") if path.suffix != ".copy")
    require(0 < len(names) <= 32, "there are no passphrases, or too many")
    header = (folder / "header").read_text()
    vault_id = bytes.fromhex(matched(r"(?s).*\nid ([0-9a-f]{32})\n.*", header, "no header")[1])
    for name in names:
        stored = _passphrase(folder, f"passphrases/{name}")
        text = unicodedata.normalize("NFC", passphrase).encode()
        stretched = Argon2id(
            salt=stored.salt, length=32, iterations=stored.passes, lanes=stored.lanes, memory_cost=stored.memory_kib
        ).derive(text)
        if keyed("tallac vault 1 passphrase commitment", stretched) == stored.commitment:
            return _read(folder, vault_id, name, stored, stretched)
    raise FormatError("the passphrase leads nowhere")


def _passphrase(folder: Path, name: str) -> _Passphrase:
    stored = _Passphrase(*msgspec.msgpack.decode(_body(folder, name)))
    require(stored.algorithm == "argon2id" and len(stored.salt) == 16 and len(stored.commitment) == 32, "an odd passphrase")
    require(1 <= stored.lanes <= 16 and 8 * stored.lanes <= stored.memory_kib <= 1_048_576, "an unreasonable passphrase")
    require(stored.passes >= 1 and stored.passes * stored.memory_kib <= 4_194_304, "an unreasonable passphrase")
    return stored


def _read(folder: Path, vault_id: bytes, name: str, stored: _Passphrase, stretched: bytes) -> Found:
    place = V + vault_id + f"passphrases/{name}".encode()
    envelope_key = unseal(keyed("tallac vault 1 passphrase key", stretched), b"passphrase" + place, stored.sealed_key)
    label = unseal(_derived(envelope_key, "passphrase label"), b"label" + place, stored.sealed_label)
    require(len(label) == 208, "a label has another length")
    path = f"envelopes/{_derived(envelope_key, 'envelope name')[:16].hex()}"
    sealed = _body(folder, path)
    plain = unpad(unseal(_derived(envelope_key, "envelope"), b"envelope" + V + vault_id + path.encode(), sealed), 28 + 16)
    vault_key, aliases = msgspec.msgpack.decode(plain, type=tuple[str, list[tuple[str, str]]])
    require(aliases == sorted(aliases), "aliases are not in order")
    return Found(label[8:].rstrip(b"\0").decode(), int.from_bytes(label[:8], "big"), vault_key, aliases)


def _derived(key: bytes, purpose: str) -> bytes:
    return keyed(key, b"tallac vault 1 ", purpose.encode())


def _body(folder: Path, name: str) -> bytes:
    """Read an object of which both copies are whole and equal."""
    stored, copy = (folder / name).read_bytes(), (folder / f"{name}.copy").read_bytes()
    require(stored == copy, "the copies differ")
    require(blake3(stored[:-16]).digest()[:16] == stored[-16:], "an object is damaged")
    return stored[:-16]
