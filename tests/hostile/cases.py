"""What a hostile writer may put into a snapshot, each under a name; see RELIABILITY section 4, G8.

A case gives the entries of a directory, or a directory's packed cap.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.hostile.crafting import DIRECTORY, FILE, Crafter, bomb, child_of, packed_text, size_of

from tallac.caps import UnknownCap
from tallac.dag import Entry, Metadata, SnapshotFacts, encode_cap, encode_table
from tallac.vault.format.nodes import NodeRef
from tallac.vault.format.objects import Kind

Case = Callable[[Crafter], "list[Entry] | bytes"]
CASES: dict[str, Case] = {}
"""Cases of which something must be told, since not all of them can be restored."""
QUIET: set[str] = set()
"""Cases of which nothing need be told."""


def case(name: str, make: Case, *, is_quiet: bool = False) -> None:
    """Enter a case."""
    assert name not in CASES
    CASES[name] = make
    if is_quiet:
        QUIET.add(name)


def one(encoded: bytes, metadata: Metadata, name: bytes = b"victim") -> Case:
    """Make a case of one entry that needs nothing stored."""
    return lambda _: [Entry(name, encoded, metadata)]


# Names that lead out of a directory, under each kind of thing.

NAMES = [b"..", b".", b"../escaped", b"../../escaped", b"/escaped", b"a/b", b"victim/../../escaped", b"a\0b", b"..\0", b"/", b"\0"]
for hostile_name in NAMES:
    case(f"file named {hostile_name!r}", one(b"Lx", FILE, hostile_name))
    case(f"link named {hostile_name!r}", one(b"L", Metadata(mode=0o120777, target=b"/"), hostile_name))
    case(f"FIFO named {hostile_name!r}", one(b"L", Metadata(mode=0o10644), hostile_name))
    case(
        f"directory named {hostile_name!r}",
        lambda crafter, name=hostile_name: [  # type: ignore[misc]
            Entry(name, crafter.directory([Entry(b"inside", b"Lx", FILE)]), DIRECTORY)
        ],
    )
case("empty name", one(b"Lx", FILE, b""))
case("name too long", one(b"Lx", FILE, b"n" * 256))
case("name of 64 KiB", one(b"Lx", FILE, b"n" * 65_536))

# Tables that are none.

TABLES: dict[str, bytes] = {
    "no bytes": b"",
    "no array": packed_text("text"),
    "cut": encode_table([Entry(b"a", b"Lx", FILE)])[:-3],
    "trailing bytes": encode_table([Entry(b"a", b"Lx", FILE)]) + b"\0",
    "four billion entries": b"\xdd\xff\xff\xff\xff",
    "four gigabytes in a name": b"\x91\x94\xc6\xff\xff\xff\xff",
    "nested a thousand deep": b"\x91" * 1000 + b"\xc0",
    "names out of order": encode_table([Entry(b"b", b"Lx", FILE), Entry(b"a", b"Lx", FILE)]),
    "a name twice": encode_table([Entry(b"a", b"L1", FILE), Entry(b"a", b"L2", FILE)]),
    "numbers for names": packed_text([[1, b"Lx"]]),
    "text for bytes": packed_text([["a", "Lx"]]),
    "too many fields": packed_text([[b"a", b"Lx", {}, None, 1]]),
    "too few fields": packed_text([[b"a"]]),
    "unknown metadata": packed_text([[b"a", b"Lx", {"zz": 1}]]),
    "metadata of another type": packed_text([[b"a", b"Lx", {"m": "rwx"}]]),
    "metadata as an array": packed_text([[b"a", b"Lx", []]]),
    "mode of 100 bits": b"\x91\x93\xc4\x01a\xc4\x02Lx\x81\xa1m\xd9\x20" + b"9" * 32,
    "not the shortest form": b"\xdc\x00\x01" + encode_table([Entry(b"a", b"Lx", FILE)])[1:],
    "maps with other keys": packed_text([[b"a", b"Lx", {"o": {1: 2}}]]),
    "nil": b"\xc0",
    "an extension type": b"\x91\xc7\x01\x05x",
}
for words, raw in TABLES.items():
    case(f"table: {words}", lambda crafter, raw=raw: crafter.table(raw))  # type: ignore[misc]
for lie in (0, 1, 10, 1 << 20, 1 << 40, (1 << 63) - 1):
    case(
        f"table whose cap says {lie} bytes",
        lambda crafter, lie=lie: crafter.table(encode_table([Entry(b"a", b"Lx", FILE)]), [Entry(b"a", b"Lx", FILE)], size=lie),  # type: ignore[misc]
    )
for level in (1, 2, 16, 17, 255):
    case(
        f"table that says it is on level {level}",
        lambda crafter, level=level: crafter.table(encode_table([Entry(b"a", b"Lx", FILE)]), level=level),  # type: ignore[misc]
    )


# Directories of several tables.


def tables(*parts: list[Entry]) -> Case:
    """Make a directory of several tables, each in order by itself."""

    def make(crafter: Crafter) -> bytes:
        children = [child_of(crafter.directory(part), part[0].name) for part in parts]
        return crafter.node(1, children)

    return make


LINK = Metadata(mode=0o120777, target=b"../../outside")
case("a link, then a file of its name", tables([Entry(b"a", b"L", LINK)], [Entry(b"a", b"Lx", FILE)]))
case("a file, then a link of its name", tables([Entry(b"a", b"Lx", FILE)], [Entry(b"a", b"L", LINK)]))
case("a file, then a file of its name", tables([Entry(b"a", b"Lx", FILE)], [Entry(b"a", b"Ly", FILE)]))
case(
    "a link, then a directory of its name",
    lambda crafter: tables([Entry(b"a", b"L", LINK)], [Entry(b"a", crafter.directory([Entry(b"inside", b"Lx", FILE)]), DIRECTORY)])(
        crafter
    ),
)
case(
    "a directory, then a link of its name",
    lambda crafter: tables([Entry(b"a", crafter.directory([Entry(b"inside", b"Lx", FILE)]), DIRECTORY)], [Entry(b"a", b"L", LINK)])(
        crafter
    ),
)
case(
    "a link, a file, and the link's name again",
    tables([Entry(b"a", b"L", LINK), Entry(b"b", b"Lx", FILE)], [Entry(b"a", b"Lx", FILE)]),
)


def lying_node(level: int, child_level: int, size: int) -> Case:
    """Make a node whose child is of another level or size than it says."""

    def make(crafter: Crafter) -> bytes:
        entries = [Entry(b"a", b"Lx", FILE)]
        encoded = crafter.directory(entries)
        for above in range(1, child_level + 1):
            encoded = crafter.node(above, [child_of(encoded, b"a")])
        return crafter.node(level, [NodeRef(b"a", encoded[1:49], size)])

    return make


for level, below, size in ((2, 0, 9), (3, 1, 9), (1, 1, 9), (1, 0, 1), (1, 0, 1 << 40), (16, 0, 9)):
    case(f"node on level {level} above level {below} of {size} bytes", lying_node(level, below, size))
case("node without children", lambda crafter: crafter.table(packed_text([]), level=1))
case("node with a child of nothing", lambda crafter: crafter.table(packed_text([[b"a", b"", 5]]), level=1))
case("node with a short child", lambda crafter: crafter.table(packed_text([[b"a", bytes(47), 5]]), level=1))
case("node with a child of no size", lambda crafter: crafter.table(packed_text([[b"a", bytes(48), 0]]), level=1))
case("node with a child of a negative size", lambda crafter: crafter.table(packed_text([[b"a", bytes(48), -1]]), level=1))
case("node with a child that nobody has", lambda crafter: crafter.node(1, [NodeRef(b"a", bytes(48), 500)]))

# One kind of thing passed off as another.

MODES = {
    "directory": 0o40755,
    "nothing known": 0o130644,
    "a negative mode": -1,
    "a mode of 60 bits": 1 << 60,
    "a link without text": 0o120777,
    "a device without numbers": 0o20666,
}
for words, mode in MODES.items():
    case(f"a file whose mode says: {words}", one(b"Lx", Metadata(mode=mode)))
for mode in (0o100644, 0o120777, 0o10644, 0o20666):
    case(
        f"a directory whose mode says {mode:o}",
        lambda crafter, mode=mode: [Entry(b"victim", crafter.directory([]), Metadata(mode=mode, target=b"/", rdev=(1, 3)))],  # type: ignore[misc]
    )
case(
    "a directory's object as a file",
    lambda crafter: [Entry(b"victim", b"C" + crafter.directory([Entry(b"a", b"Lx", FILE)])[1:], FILE)],
)
case("a file's chunk as a directory", lambda crafter: b"D" + crafter.file(bytes(500))[1:])
case("a large file's list as a directory", lambda crafter: b"D" + crafter.file(bytes(range(256)) * 16_384)[1:])
case("a large file's cap with the size of a small one", lambda crafter: [
    Entry(b"victim", crafter.file(bytes(range(256)) * 16_384)[:49] + size_of(100), FILE)
])  # fmt: skip
case("a small file's cap with the size of a large one", lambda crafter: [
    Entry(b"victim", crafter.file(bytes(500))[:49] + size_of(1 << 30), FILE)
])  # fmt: skip
for encoded in (
    b"",
    b"C",
    b"C" + bytes(20),
    b"C" + bytes(60),
    b"D",
    b"M" + b"\xff" * 9,
    b"Q",
    b"T",
    b"Tno cap",
    b"TURI:CHK:x",
    b"X" * 99,
):
    case(f"packed cap {encoded[:12]!r} of {len(encoded)} bytes", one(encoded, FILE))
case("a cap of the future", lambda _: [Entry.of(b"victim", UnknownCap("URI:FUTURE:x"), FILE)])
case("a text cap of five megabytes", lambda _: [Entry(b"victim", b"TURI:CHK:" + b"a" * 5_000_000, FILE)])

# Sizes that are not so.

for lie in (0, 1, 499, 501, 1 << 20, 1 << 32, (1 << 63) - 1, (1 << 64) - 1):
    case(
        f"a file of 500 bytes whose cap says {lie}",
        lambda crafter, lie=lie: [Entry(b"victim", crafter.file(b"x" * 500)[:49] + size_of(lie), FILE)],  # type: ignore[misc]
        is_quiet=lie == 0,  # A cap of no bytes has none to be wrong.
    )


def lying_list(*sizes: int, total: int | None = None, level: int = 1) -> Case:
    """Make a large file whose chunks have other sizes than its list says."""

    def make(crafter: Crafter) -> list[Entry]:
        chunk = crafter.file(b"c" * 400_000)[1:49]
        children = [NodeRef(b"", chunk, size) for size in sizes]
        return [Entry(b"victim", crafter.node(level, children, kind=Kind.LIST, size=total), FILE)]

    return make


case("chunks shorter than the list says", lying_list(500_000, 500_000, 500_000))
case("chunks longer than the list says", lying_list(300_000, 300_000, 300_000))
case("a list whose cap says less", lying_list(400_000, 400_000, 400_000, total=700_000))
case("a list whose cap says more", lying_list(400_000, 400_000, 400_000, total=1 << 40))
case("a list of chunks of exabytes", lying_list(1 << 60, 1 << 60))
case("a list that says it is on level 2", lying_list(400_000, 400_000, 400_000, level=2))
case("a list of chunks that nobody has", lambda crafter: [
    Entry(b"victim", crafter.node(1, [NodeRef(b"", bytes(48), 600_000)] * 2, kind=Kind.LIST), FILE)
])  # fmt: skip

# Bombs.

BOMBS = {
    "declares what it is": bomb(64 << 20),
    "declares nothing": bomb(64 << 20, declares=False),
    "two frames": bomb(500) + bomb(64 << 20),
    "no frame": b"no frame at all",
    "cut": bomb(64 << 20)[:20],
    "declares four exabytes": b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 7 + b"\x3f" + bytes(20),
}
for words, body in BOMBS.items():
    case(
        f"bomb: {words}",
        lambda crafter, body=body: [Entry(b"victim", crafter.chunk_of(body, b"b" * 500, is_compressed=True), FILE)],  # type: ignore[misc]
    )
case("a chunk with other bytes", lambda crafter: [
    Entry(b"victim", crafter.chunk_of(b"evil" * 125, b"good" * 125, is_compressed=False), FILE)
])  # fmt: skip
case("a chunk with more bytes", lambda crafter: [
    Entry(b"victim", crafter.chunk_of(b"good" * 126, b"good" * 125, is_compressed=False), FILE)
])  # fmt: skip

# Metadata that can't be, or does harm.

METADATA = {
    "owner of 40 bits": Metadata(mode=0o100644, uid=1 << 40, gid=1),
    "negative owner": Metadata(mode=0o100644, uid=-7, gid=-7),
    "owner that means none": Metadata(mode=0o100644, uid=(1 << 32) - 1, gid=(1 << 32) - 1),
    "time beyond the calendar": Metadata(mode=0o100644, mtime=(1 << 62, 5)),
    "time before the calendar": Metadata(mode=0o100644, mtime=(-(1 << 62), 5)),
    "attribute without a namespace": Metadata(mode=0o100644, xattrs=((b"plain", b"1"),)),
    "attribute without a name": Metadata(mode=0o100644, xattrs=((b"", b"1"),)),
    "attribute with a zero byte": Metadata(mode=0o100644, xattrs=((b"user.a\0b", b"1"),)),
    "attribute with a long name": Metadata(mode=0o100644, xattrs=((b"user." + b"n" * 5000, b"1"),)),
    "attribute of a megabyte": Metadata(mode=0o100644, xattrs=((b"user.large", bytes(1 << 20)),)),
    "2,000 attributes": Metadata(mode=0o100644, xattrs=tuple((b"user.%04d" % n, bytes(100)) for n in range(2000))),
    "an ACL that is none": Metadata(mode=0o100644, xattrs=((b"system.posix_acl_access", b"no acl"),)),
    "device of 60 bits": Metadata(mode=0o20666, rdev=(1 << 60, 1 << 60)),
    "device with negative numbers": Metadata(mode=0o60666, rdev=(-1, -1)),
    "link text with a zero byte": Metadata(mode=0o120777, target=b"a\0b"),
    "link text of 64 KiB": Metadata(mode=0o120777, target=b"a" * 65_536),
    "link without text": Metadata(mode=0o120777, target=b""),
    "attribute that only the kernel sets": Metadata(mode=0o100644, xattrs=((b"system.nfs4_acl", b"1"),)),
    "attribute name that is no text": Metadata(mode=0o100644, xattrs=((b"nothing.\xff", b"1"),)),
    "capability that is none": Metadata(mode=0o100644, xattrs=((b"security.capability", b"all"),)),
    "a default ACL on a file": Metadata(mode=0o100644, xattrs=((b"system.posix_acl_default", bytes(28)),)),
    "all flags": Metadata(mode=0o100644, flags=(1 << 32) - 1 & ~0x30),
    "negative flags": Metadata(mode=0o100644, flags=-1 & ~0x30),
}
for words, metadata in METADATA.items():
    case(f"metadata: {words}", one(b"Lx" if metadata.rdev is None and metadata.target is None else b"L", metadata))
HOLES = {
    "of exabytes": ((0, 1 << 62),),
    "at a negative place": ((-5, 10),),
    "of a negative length": ((0, -5),),
    "one over the other": ((0, 400), (100, 400)),
    "behind the end": ((1000, 50),),
    "without a place": ((1 << 62, 1 << 62),),
    "in 30,000 pieces": tuple((2 * n, 1) for n in range(30_000)),
    "where bytes are": ((0, 500),),
}
for words, holes in HOLES.items():
    case(
        f"a hole {words}",
        lambda crafter, holes=holes: [Entry(b"victim", crafter.file(b"x" * 500), Metadata(mode=0o100644, holes=holes))],  # type: ignore[misc]
        is_quiet=True,
    )

HARMLESS = {
    "nanoseconds without end": Metadata(mode=0o100644, mtime=(5, 1 << 62)),
    "flags of 60 bits": Metadata(mode=0o100644, flags=1 << 60),
    "names of users that are paths": Metadata(mode=0o100644, uid=0, gid=0, user="../../etc/passwd", group="/"),
    "names of users with zero bytes": Metadata(mode=0o100644, uid=0, gid=0, user="a\0b", group="\0"),
    "names of users of 64 KiB": Metadata(mode=0o100644, uid=0, gid=0, user="u" * 65_536, group="g" * 65_536),
    "setuid for somebody else": Metadata(mode=0o106755, uid=1 << 40, gid=1),
    "another inode than it has": Metadata(mode=0o100644, uid=0, gid=0, inode=-1, device=1 << 62),
    "a snapshot's facts": Metadata(mode=0o100644, snapshot=SnapshotFacts(files=1 << 62, size=-1)),
    "other tools' keys": Metadata(mode=0o100644, other={"tahoe": {"linkmotime": 1e308}, "..": None}),
}
for words, metadata in HARMLESS.items():
    case(f"metadata: {words}", one(b"Lx", metadata), is_quiet=True)

# Links.


def linked(mode: int = 0o100644, links: int = 2, target: bytes | None = None) -> Metadata:
    """Say that something is a link of the file with inode 7."""
    return Metadata(mode=mode, inode=7, device=1, links=links, target=target)


case(
    "a hard link of a link that leads out",
    lambda crafter: [
        Entry(b"a", b"L", linked(0o120777, target=crafter.outside + b"/precious")),
        Entry(b"b", b"Lx", linked()),
        Entry(b"c", b"L", linked(0o120777, target=crafter.outside + b"/precious")),
    ],
    is_quiet=True,
)
case(
    "a file, then the name of a directory that leads out",
    lambda crafter: [
        Entry(b"a", b"L", Metadata(mode=0o120777, target=crafter.outside)),
        Entry(b"b", b"Lx", linked()),
        Entry(b"c", b"Lx", linked()),
    ],
    is_quiet=True,
)
case("links without end", one(b"Lx", linked(links=1 << 60)), is_quiet=True)
case("a negative number of links", one(b"Lx", linked(links=-5)), is_quiet=True)
case("links of what can't be read", lambda _: [
    Entry(name, b"C" + bytes(48) + size_of(500), linked()) for name in (b"a", b"b", b"c")
])  # fmt: skip
case("links that say they are of two kinds", lambda crafter: [
    Entry(b"a", b"L", linked(0o10644)), Entry(b"b", b"Lx", linked()), Entry(b"c", crafter.directory([]), linked())
])  # fmt: skip
case("a link that leads out", lambda crafter: [Entry(b"a", b"L", Metadata(mode=0o120777, target=crafter.outside))], is_quiet=True)
case("names that differ in case", lambda _: [Entry(name, b"Lx", FILE) for name in (b"A", b"a")], is_quiet=True)
case("names that differ in form", lambda _: [
    Entry(name.encode(), b"Lx", FILE) for name in ("a\u0308", "\u00e4")
], is_quiet=True)  # fmt: skip
case("names that act on a terminal", lambda _: [
    Entry(b"\x1b]0;evil\x07\n\x1b[2J", b"C", FILE), Entry("\u202etxt.exe".encode(), b"C", FILE)
])  # fmt: skip

# Loops, and depth.


def loop(crafter: Crafter) -> list[Entry]:
    """Make a mutable directory that contains itself, three levels down."""
    cap = crafter.mutable()
    encoded = encode_cap(cap.read_cap)
    inner = crafter.directory([Entry(b"again", encoded, DIRECTORY)])
    crafter.vault.edit_directory(cap, lambda _: [Entry(b"down", inner, DIRECTORY)])
    return [Entry(b"victim", encoded, DIRECTORY)]


def two_loops(crafter: Crafter) -> list[Entry]:
    """Make two mutable directories that contain each other."""
    caps = [crafter.mutable() for _ in range(2)]
    for cap, other in (caps, caps[::-1]):
        entry = Entry(b"other", encode_cap(other.read_cap), DIRECTORY)
        crafter.vault.edit_directory(cap, lambda _, entry=entry: [entry])  # type: ignore[misc]
    return [Entry(b"victim", encode_cap(caps[0].read_cap), DIRECTORY)]


def deep(crafter: Crafter) -> bytes:
    """Make directories 1,500 deep, whose path no call takes at once."""
    encoded = crafter.directory([Entry(b"file", b"Lx", FILE)])
    for _ in range(1500):
        encoded = crafter.directory([Entry(b"deep", encoded, DIRECTORY)])
    return encoded


case("a directory in itself", loop)
case("two directories in each other", two_loops)
case("a path of 1,500 directories", deep, is_quiet=True)
