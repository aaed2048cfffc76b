"""Canonical bytes of a list of entries: one MessagePack array, sorted by name, shortest forms throughout.

Decoded entries are encoded again and compared, so that each directory has exactly one form.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import ge
from typing import NamedTuple

import msgspec

from tallac.dag.encoded import size_of_encoded
from tallac.dag.entry import Entry
from tallac.errors import MalformedObjectError

_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(list[Entry])

encode_entry = _encoder.encode


class EncodedEntries(NamedTuple):
    """Some neighbouring entries of files, as a worker has encoded them: most of them nobody needs to decode.

    Attributes:
        names: Their names, ascending.
        caps: Their encoded caps.
        table: The entries, as a table.
    """

    names: list[bytes]
    caps: list[bytes]
    table: bytes

    @property
    def size(self) -> int:
        """The sum of the files' sizes."""
        return sum(map(size_of_encoded, self.caps))

    @property
    def encoded(self) -> bytes:
        """The entries one behind the other, as `table_of_encoded` takes them."""
        return _without_head(self.table, len(self.names))

    def decode(self) -> list[Entry]:
        """Return the entries. They come from this program, and need not be proved canonical as those from a store must be."""
        return _decoder.decode(self.table)


def encode_entries(entries: Sequence[Entry]) -> bytes:
    """Encode entries one behind the other, as `table_of_encoded` takes them."""
    return _without_head(_encoder.encode(entries), len(entries))


def _without_head(table: bytes, count: int) -> bytes:
    return table[1 if count < 16 else 3 if count < 1 << 16 else 5 :]


def table_of_encoded(encoded: Iterable[bytes], count: int) -> bytes:
    """Join so many encoded entries, which come sorted by name, to a table."""
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return head + b"".join(encoded)


def encode_table(entries: Iterable[Entry]) -> bytes:
    """Encode entries, which come sorted by name."""
    return _encoder.encode(list(entries))


def decode_table(table: bytes) -> list[Entry]:
    """Decode a table strictly.

    Raises:
        MalformedObjectError: The table is not the canonical form of a list of entries with distinct, valid names.
    """
    try:
        entries = _decoder.decode(table)
        # The keys of other tools may hold maps whose keys are not text, which the encoder refuses.
        encoded = _encoder.encode(entries)
    except (msgspec.MsgspecError, RecursionError, TypeError, ValueError) as error:
        raise MalformedObjectError("a directory's table is malformed") from error
    if encoded != table:
        raise MalformedObjectError("a directory's table is not in canonical form")
    names = [entry.name for entry in entries]
    if any(map(ge, chain((b"",), names), names)):
        raise MalformedObjectError("a directory's names are empty, not distinct or not in order")
    return entries
