from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import ImmutableDirectory, ImmutableFile
from tallac.errors import MalformedObjectError
from tallac.vault.format.nodes import NodeRef, encode_node, links_of_children
from tallac.vault.format.objects import Kind
from tallac.vault.vault import Vault, create_vault, open_vault
from tallac.vault.writing.batch import VaultWriter
from tallac.vault.writing.object_writer import ObjectWriter


def _nest(objects: ObjectWriter, kind: Kind, depth: int) -> NodeRef:
    """Store nodes that all claim level 2, one in the other: what no writer makes, and a hostile one may."""
    children = [NodeRef(b"a", bytes(48), 1 << 20)]
    for _ in range(depth):
        stored = objects.store_node(kind, encode_node(kind, 2, children), links_of_children(kind, 2, children))
        children = [NodeRef(b"a", stored.key + stored.hash, 1 << 20)]
    return children[0]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Give an empty vault."""
    backend = MemoryBackend()
    return open_vault(backend, create_vault(backend), state=tmp_path)


@pytest.mark.parametrize("depth", [2, 3000])
def test_levels_bound_the_depth_of_a_tree(vault: Vault, depth: int) -> None:
    """A node whose child has no smaller level is refused, however deep the nest is: a reader's stack is never exhausted."""
    with vault.session() as session, session.writing() as writer:
        assert isinstance(writer, VaultWriter)
        file = _nest(writer._objects, Kind.LIST, depth)
        directory = _nest(writer._objects, Kind.DIRECTORY, depth)
    with pytest.raises(MalformedObjectError, match="wrong level"):
        vault.open_file(ImmutableFile(file.key, file.hash, 1, 1, file.size)).read(1)
    with pytest.raises(MalformedObjectError, match="wrong level"):
        list(vault.read_directory(ImmutableDirectory(directory.key, directory.hash, 1, 1, directory.size)))
