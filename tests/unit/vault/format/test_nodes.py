from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, strategies as st

from tallac.caps import storage_index_of
from tallac.crypto.hashing import keyed
from tallac.errors import CorruptObjectError, MalformedObjectError
from tallac.testing.sample_vault import noise
from tallac.vault.format.nodes import CHILDREN_MAX, CHILDREN_MIN, NodeRef, TreeBuilder, decode_node, encode_node, links_of_children
from tallac.vault.format.objects import Kind, Stored


class Nodes:
    """Keeps nodes by key, as a vault does."""

    def __init__(self) -> None:
        self.contents: dict[bytes, tuple[bytes, bytes]] = {}

    def store(self, kind: Kind, content: bytes, links: bytes) -> Stored:
        """Store a node under a key that its content decides."""
        digest = keyed(bytes(32), bytes((kind,)) + content, 48)
        self.contents[digest] = (content, links)
        return Stored(digest[:16], digest[16:])

    def leaves(self, kind: Kind, node: NodeRef) -> Iterator[NodeRef]:
        """Read a tree."""
        level, children = decode_node(kind, self.contents[node.key_and_hash][0])
        assert sum(child.size for child in children) == node.size
        assert 1 <= len(children) <= CHILDREN_MAX
        for child in children:
            if level == 1:
                assert child.level == 0
                yield child._replace(level=None, bound=None)
            else:
                yield from self.leaves(kind, child)


def leaves(count: int, kind: Kind = Kind.LIST) -> list[NodeRef]:
    """Make up stored children."""
    return [
        NodeRef(b"%08d" % number if kind is Kind.DIRECTORY else b"", noise(number, 48), number % 100 + 1) for number in range(count)
    ]


def build(nodes: Nodes, children: list[NodeRef], kind: Kind = Kind.LIST) -> NodeRef:
    """Build a tree; give its root."""
    tree = TreeBuilder(kind, nodes.store)
    for child in children:
        tree.add(child)
    return tree.finish()


@pytest.mark.parametrize("kind", [Kind.LIST, Kind.DIRECTORY])
@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 4095, 4096, 4097, 10_000])
def test_what_was_added_is_read(count: int, kind: Kind) -> None:
    """Trees of any size have their leaves in order; a directory's only table is its root, a file's only piece has a list."""
    nodes = Nodes()
    children = leaves(count, kind)
    root = build(nodes, children, kind)
    if kind is Kind.DIRECTORY and count == 1:
        assert root == children[0]
        assert not nodes.contents
        return
    assert list(nodes.leaves(kind, root)) == children
    assert root.size == sum(child.size for child in children)
    assert root.first == children[0].first


def test_nodes_end_by_their_children() -> None:
    """A node has at least 128 children but for the last, at most 4,096, and ends after a hash with nine zero bits."""
    nodes = Nodes()
    build(nodes, leaves(20_000))
    sizes = []
    for content, _ in nodes.contents.values():
        level, children = decode_node(Kind.LIST, content)
        sizes.append(len(children))
        early = [child for child in children[CHILDREN_MIN - 1 : -1] if int.from_bytes(child.hash[-2:], "big") & 0x1FF == 0]
        assert not early, level
    assert max(sizes) <= CHILDREN_MAX
    assert len(sizes) > 10


def test_a_run_of_uncut_children_is_bounded() -> None:
    """Without any cut a node ends at 4,096 children; holes count as a cut."""
    stubborn = [NodeRef(b"", bytes(46) + b"\1\1", 1)] * 10_000
    nodes = Nodes()
    root = build(nodes, stubborn)
    assert list(nodes.leaves(Kind.LIST, root)) == stubborn
    assert max(len(decode_node(Kind.LIST, content)[1]) for content, _ in nodes.contents.values()) == CHILDREN_MAX
    nodes = Nodes()
    build(nodes, [NodeRef(b"", b"", 1)] * CHILDREN_MIN * 2 + leaves(1))
    # Two equal nodes of holes, one with the leaf, and the root.
    assert len(nodes.contents) == 3


@pytest.mark.parametrize("place", [0, 5_000, 9_999])
def test_a_change_changes_few_nodes(place: int) -> None:
    """Another leaf, or one more, changes the nodes above it, and at most a neighbour."""
    nodes = Nodes()
    children = leaves(10_000)
    build(nodes, children)
    before = set(nodes.contents)
    other = NodeRef(b"", noise(-1, 48), 7)
    build(nodes, [*children[:place], other, *children[place + 1 :]])
    assert len(set(nodes.contents) - before) <= 4
    before = set(nodes.contents)
    build(nodes, [*children[:place], other, *children[place:]])
    assert len(set(nodes.contents) - before) <= 4


def test_links_are_those_of_the_children() -> None:
    """A node's links are its children's verify caps, without holes: chunks at the lowest level of a list, else nodes."""
    children = leaves(2)
    indexes = [storage_index_of(child.key) for child in children]
    with_hole = [children[0], NodeRef(b"", b"", 5), children[1]]
    assert links_of_children(Kind.LIST, 1, with_hole) == b"\0" + children[0].hash[:16] + b"\0" + children[1].hash[:16]
    for kind, tag in ((Kind.LIST, b"\1"), (Kind.DIRECTORY, b"\2")):
        expected = tag + indexes[0] + children[0].hash[:16] + tag + indexes[1] + children[1].hash[:16]
        assert links_of_children(kind, 2, children) == expected


WHOLE = noise(1, 48)
IMPOSSIBLE: list[tuple[Kind, int, list[NodeRef]]] = [
    (Kind.LIST, 1, []),
    (Kind.LIST, 0, [NodeRef(b"", WHOLE, 1)]),
    (Kind.LIST, 17, [NodeRef(b"", WHOLE, 1)]),
    (Kind.LIST, 1, [NodeRef(b"", WHOLE, 0)]),
    (Kind.LIST, 1, [NodeRef(b"", WHOLE, -1)]),
    (Kind.LIST, 1, [NodeRef(b"", WHOLE[:47], 1)]),
    (Kind.LIST, 2, [NodeRef(b"", b"", 1)]),
    (Kind.DIRECTORY, 1, [NodeRef(b"a", b"", 1)]),
    (Kind.DIRECTORY, 1, [NodeRef(b"b", WHOLE, 1), NodeRef(b"a", WHOLE, 1)]),
    (Kind.DIRECTORY, 1, [NodeRef(b"a", WHOLE, 1), NodeRef(b"a", WHOLE, 1)]),
    (Kind.LIST, 1, [NodeRef(b"", WHOLE, (4 << 20) + 1)]),
    (Kind.LIST, 2, [NodeRef(b"", WHOLE, 1 << 62)]),
    (Kind.LIST, 2, [NodeRef(b"", WHOLE, 1 << 61)] * 2),
]


@pytest.mark.parametrize(("kind", "level", "children"), IMPOSSIBLE)
def test_impossible_nodes_are_refused(kind: Kind, level: int, children: list[NodeRef]) -> None:
    """What no writer makes is refused."""
    with pytest.raises(MalformedObjectError):
        decode_node(kind, encode_node(kind, level, children))


@given(st.sampled_from([Kind.LIST, Kind.DIRECTORY]), st.binary(max_size=200), st.integers(0, 200), st.integers(0, 255))
def test_only_declared_errors(kind: Kind, junk: bytes, place: int, value: int) -> None:
    """Whatever stands in a node, it is read as what it canonically is, or refused."""
    node = bytearray(encode_node(kind, 1, leaves(2, kind)))
    node[place % len(node)] = value
    long = b"\1" + msgspec.msgpack.encode([[b"x" * 48, 1]]).replace(b"\x01", b"\xcc\x01")
    for content in (junk or b"\0", b"\1" + junk, bytes(node), long):
        try:
            level, children = decode_node(kind, content)
        except CorruptObjectError:
            continue
        assert encode_node(kind, level, children) == content
