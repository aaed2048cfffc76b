"""A vault that the second writer makes, and objects that the page forbids: what both readers are tried on."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import ormsgpack
from tests.formats.second_reader import Vault
from tests.formats.second_values import (
    CHUNK,
    DIRECTORY,
    LIST,
    Child,
    FormatError,
    StoredEntry,
    attenuate,
    encode_entries,
    join_links,
    link_of,
    links_of,
)
from tests.formats.second_writer import Packed, Sealed, SecondWriter, entry, pending_deletion, stream

ROOT, BELOW, FILE = bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))
TEXT = b"a line of text that compresses\n" * 100
# Its length is a multiple of the blocks, so that a hole may lie behind it.
FIRST_CHUNK, SECOND_CHUNK = b"one." * (1 << 14), b"two" * 10_000
HOLE_BYTES = 1 << 20


@dataclass
class Made:
    """A vault that the second writer made, and what it was made of."""

    writer: SecondWriter
    pack: Packed
    objects: dict[str, Sealed]
    file: str
    list_cap: str
    snapshot: str

    def open(self, kind: str = "writer") -> Vault:
        """Open it with one of its keys."""
        return Vault(self.writer.objects, self.writer.key(kind))

    def copied(self) -> Made:
        """Give the same vault to a test that changes it."""
        writer = copy.copy(self.writer)
        writer.objects = dict(self.writer.objects)
        return replace(self, writer=writer)

    def add(self, stored: Sealed) -> None:
        """Put one more object into the vault, and into its index."""
        pack = self.writer.pack([*self.objects.values(), stored])
        self.writer.register("index", self.writer.index([pack]))


def make_sample() -> Made:
    """Make a vault with one object of each kind and all that a vault may hold."""
    writer = SecondWriter(bytes(32), stream("a vault"))
    chunk = writer.object(CHUNK, TEXT, compressed=True)
    chunks = [writer.object(CHUNK, FIRST_CHUNK), writer.object(CHUNK, SECOND_CHUNK, compressed=True)]
    children = [chunks[0].child(len(FIRST_CHUNK)), Child(b"", b"", HOLE_BYTES), chunks[1].child(len(SECOND_CHUNK))]
    listed = writer.node(LIST, 1, children)
    size = sum(child.size for child in children)
    table, snapshot = writer.table(
        [
            entry(b"file", chunk.cap(len(TEXT)), {"m": 0o100644, "t": [-1, 5], "x": [[b"user.a", b"1"], [b"user.b", b""]]}),
            entry(b"list", listed.cap(size), {"m": 0o100600, "o": {"a": 1.5, "b": [None]}}),
            entry(b"literal", "URI:LIT:mzxw6"),
        ],
        compressed=True,
    )
    objects = {"chunk": chunk, "first": chunks[0], "second": chunks[1], "list": listed, "table": table}
    pack = writer.pack(list(objects.values()))
    writer.register("index", writer.index([pack]))
    below = writer.mutable_cap(BELOW)
    root = [
        entry(b"Archives", attenuate(below), {"S": {"h": "host", "b": 5}}, writer.sealed_write_cap(ROOT, below)),
        entry(b"Latest", snapshot),
    ]
    links = [writer.slot(ROOT, root), writer.slot(BELOW, []), writer.slot(FILE, [entry(b"\0", chunk.cap(len(TEXT)))])]
    writer.register("roots", b"".join(link.storage_index + link.digest for link in links), compressed=True)
    writer.register("quarantine", pending_deletion(1, bytes(32), []) + pending_deletion(1, b"\1" * 32, [0, 5], is_decided=True))
    writer.register("settings", ormsgpack.packb({"compression": "max", "of another": "value"}))
    writer.session("0" * 32, "committing", 10**18, "client", join_links([link for link in [link_of(snapshot)] if link]))
    return Made(writer, pack, objects, chunk.cap(len(TEXT)), listed.cap(size), snapshot)


# What every reader refuses as a whole.
FORBIDDEN_TABLES = {
    "double names": [entry(b"a", "URI:LIT:"), entry(b"a", "URI:LIT:")],
    "descending names": [entry(b"b", "URI:LIT:"), entry(b"a", "URI:LIT:")],
    "an empty name": [entry(b"", "URI:LIT:")],
    "no entries": [],
    "a write cap": [entry(b"a", "URI:LIT:", None, b"sealed")],
    "a default": [entry(b"a", "URI:LIT:", {"l": 1})],
    "an unknown key": [entry(b"a", "URI:LIT:", {"q": 1})],
    "keys out of order": [entry(b"a", "URI:LIT:", {"u": 1, "m": 1})],
    "another tool's keys out of order": [entry(b"a", "URI:LIT:", {"o": {"a": [{"z": 1, "y": 2}]}})],
    "another tool's key that is no map": [entry(b"a", "URI:LIT:", {"o": [1]})],
}
# What is damage of one entry, or of its cap, beside which the others stand.
FORBIDDEN_ENTRIES = {
    "a packed cap with a zero too many": [StoredEntry(b"a", b"C" + bytes(49), {}, None)],
    "an unnecessary text": [StoredEntry(b"a", b"TURI:LIT:", {}, None)],
}
# What is damage of one value in an entry's metadata.
FORBIDDEN_VALUES = {
    "an odd mode": [entry(b"a", "URI:LIT:", {"m": 1 << 17})],
    "a negative mode": [entry(b"a", "URI:LIT:", {"m": -1})],
    "nanoseconds": [entry(b"a", "URI:LIT:", {"t": [0, 10**9]})],
    "a huge time": [entry(b"a", "URI:LIT:", {"t": [1 << 62, 0]})],
    "huge holes": [entry(b"a", "URI:LIT:", {"h": [[0, 1 << 62]]})],
}
# What the page calls a writer's duty: nobody but the second reader looks at it.
NEGLECTED_TABLES = {
    "attributes out of order": [entry(b"a", "URI:LIT:", {"x": [[b"b", b""], [b"a", b""]]})],
    "missing names out of order": [entry(b"a", "URI:LIT:", {"M": [b"b", b"a"]})],
    "facts with empty rules": [entry(b"a", "URI:LIT:", {"S": {"r": {}}})],
}
ALL_TABLES = FORBIDDEN_TABLES | FORBIDDEN_ENTRIES | FORBIDDEN_VALUES | NEGLECTED_TABLES


FORBIDDEN_LISTS: dict[str, tuple[int, list[Child], int]] = {
    "a chunk that is too long": (1, [Child(b"", bytes(48), (4 << 20) + 1)], (4 << 20) + 1),
    "sizes that don't add up": (1, [Child(b"", bytes(48), 600_000)], 600_001),
    "a hole above level 1": (2, [Child(b"", b"", 1 << 20)], 1 << 20),
    "level 17": (17, [Child(b"", bytes(48), 600_000)], 600_000),
    "no children": (1, [], 600_000),
    "an empty child": (1, [Child(b"", bytes(48), 0), Child(b"", bytes(48), 600_000)], 600_000),
    "a size beyond all bounds": (1, [Child(b"", b"", 1 << 62)], 1 << 62),
    "one level too many": (2, [Child(b"", bytes(48), 600_000)], 600_000),
}
NEGLECTED_LISTS: dict[str, tuple[int, list[Child], int]] = {
    "two holes in a row": (1, [Child(b"", b"", 1 << 20)] * 2, 2 << 20),
    "a node that ends late": (1, [Child(b"", b"", 1 << 20)] * 129, 129 << 20),
}
ALL_LISTS = FORBIDDEN_LISTS | NEGLECTED_LISTS


def links_or_none(kind: int, content: bytes) -> bytes:
    """Give the links that a content makes, or none where it is too malformed to make any."""
    try:
        return join_links(links_of(kind, content))
    except FormatError:
        return b""


def forbidden_table(writer: SecondWriter, name: str) -> tuple[Sealed, int]:
    """Seal a table that the page forbids; give it and its size."""
    content = b"\0" + encode_entries(ALL_TABLES[name])
    return writer.object(DIRECTORY, content, links_or_none(DIRECTORY, content)), len(content)


def forbidden_list(writer: SecondWriter, name: str) -> tuple[Sealed, int]:
    """Seal a list that the page forbids; give it and the size of its file."""
    level, children, size = ALL_LISTS[name]
    content = bytes((level,)) + ormsgpack.packb([[child.reference, child.size] for child in children])
    return writer.object(LIST, content, links_or_none(LIST, content)), size
