"""Open a vault with a passphrase, written from docs/format.md alone, section 12."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import ormsgpack
from argon2.low_level import ARGON2_VERSION, Type, hash_secret_raw
from tests.formats.second_hash import hashed
from tests.formats.second_reader import Header, read_header
from tests.formats.second_values import (
    FormatError,
    V,
    array,
    derived,
    is_signed,
    keyed,
    many,
    number,
    octets,
    read_key,
    require,
    text,
    unpack,
    unpad,
    unseal,
)

STRENGTHS = ("locator", "keeper", "writer")
SHAPES = (text, number(), number(1), number(1, 16), octets(16), octets(32), octets(72), octets(248))
UNSTAMPED, STAMPED = array(*SHAPES), array(*SHAPES, octets(65))
ENVELOPE = array(text, many(array(text, text)))


class Found(NamedTuple):
    """What a passphrase leads to."""

    label: str
    set_ns: int
    vault_key: str
    aliases: list[tuple[str, str]]


class Passphrase(NamedTuple):
    """A passphrase's object."""

    algorithm: str
    memory_kib: int
    passes: int
    lanes: int
    salt: bytes
    commitment: bytes
    sealed_key: bytes
    sealed_label: bytes
    is_stamped: bool


def unlock(objects: Mapping[str, bytes], passphrase: str) -> Found:
    """Try passphrases, the stamped ones first, and read the envelope that this one leads to."""
    names = sorted(name for name in objects if re.fullmatch("passphrases/[0-9a-f]{32}", name))
    vault_id = read_header(objects).id
    found = {name: read_passphrase(objects, name) for name in names}
    stamped = [name for name in names if found[name].is_stamped]
    others = [name for name in names if not found[name].is_stamped]
    for name in affordable(found, stamped) + affordable(found, others):
        stored = found[name]
        stretched = stretch(stored, passphrase)
        if keyed("tallac vault 2 passphrase commitment", stretched) == stored.commitment:
            place = V + vault_id + name.encode()
            envelope_key = unseal(keyed("tallac vault 2 passphrase key", stretched), b"passphrase" + place, stored.sealed_key)
            label = unseal(derived(envelope_key, "passphrase label"), b"label" + place, stored.sealed_label)
            set_ns, label = int.from_bytes(label[:8], "big"), label[8:].rstrip(b"\0")
            require(label and set_ns < 1 << 62, "a passphrase has no label, or was set at an impossible time")
            return Found(label.decode(), set_ns, *read_envelope(objects, envelope_key, vault_id))
    raise FormatError("the passphrase leads nowhere")


def read_passphrase(objects: Mapping[str, bytes], name: str) -> Passphrase:
    """Read a passphrase's object, and check that it costs no more than the page allows."""
    fields = unpack(whole_copies(objects, name)[0], lambda value: UNSTAMPED(value) or STAMPED(value))
    stored = Passphrase._make([*fields[:8], is_stamped(read_header(objects), name, fields)])
    require(stored.algorithm == "argon2id", "an unknown algorithm")
    require(8 * stored.lanes <= stored.memory_kib <= 1_048_576, "an unreasonable passphrase")
    require(stored.passes * stored.memory_kib <= 4_194_304, "an unreasonable passphrase")
    return stored


def is_stamped(header: Header, name: str, fields: list[Any]) -> bool:
    """Tell whether one of the vault's signers stamped a passphrase's object."""
    if len(fields) == 8 or fields[8][0] not in {1, 2}:
        return False
    message = b"passphrase" + V + header.id + ormsgpack.packb([name, *fields[:8]])
    return is_signed(header.signers[fields[8][0] - 1], message, fields[8][1:])


def affordable(found: Mapping[str, Passphrase], names: list[str]) -> list[str]:
    """Give the first of these that a reader tries: 32 at the most, and as many as cost 16 GiB over all passes."""
    costs = accumulate(found[name].passes * found[name].memory_kib for name in names)
    return [name for name, cost in zip(names[:32], costs, strict=False) if cost <= 16 << 20]


def stretch(stored: Passphrase, passphrase: str) -> bytes:
    """Give A: what Argon2id makes of a passphrase."""
    return hash_secret_raw(
        unicodedata.normalize("NFC", passphrase).encode(),
        stored.salt,
        time_cost=stored.passes,
        memory_cost=stored.memory_kib,
        parallelism=stored.lanes,
        hash_len=32,
        type=Type.ID,
        version=ARGON2_VERSION,
    )


def read_envelope(objects: Mapping[str, bytes], envelope_key: bytes, vault_id: bytes) -> tuple[str, list[tuple[str, str]]]:
    """Give the stronger vault key and all aliases of an envelope's whole copies."""
    name = f"envelopes/{derived(envelope_key, 'envelope name')[:16].hex()}"
    keys: list[str] = []
    pairs: set[tuple[str, str]] = set()
    for sealed in whole_copies(objects, name):
        opened = unseal(derived(envelope_key, "envelope"), b"envelope" + V + vault_id + name.encode(), sealed)
        vault_key, aliases = unpack(unpad(opened, 40 + 16), ENVELOPE)
        require(read_key(vault_key)[2] == vault_id, "an envelope holds another vault's key")
        found = [(alias, cap) for alias, cap in aliases]
        require(found == sorted(set(found)), "aliases are not in order")
        keys.append(vault_key)
        pairs |= set(found)
    return max(keys, key=lambda key: STRENGTHS.index(read_key(key)[0])), sorted(pairs)


def whole_copies(objects: Mapping[str, bytes], name: str) -> list[bytes]:
    """Give the bodies of an object that is kept twice, as many as are whole: at least one."""
    copies = [objects[each] for each in (name, f"{name}.copy") if each in objects]
    bodies = [copy[:-16] for copy in copies if hashed(copy[:-16])[:16] == copy[-16:]]
    require(bodies, f"{name} is missing or damaged")
    return bodies
