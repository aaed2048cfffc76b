from __future__ import annotations

from pathlib import Path

import pytest

from tallac.errors import AliasError, StoreError
from tallac.tahoe.node_directory import NodeDirectory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The directory of a node."""
    (tmp_path / "private").mkdir()
    (tmp_path / "node.url").write_text("http://127.0.0.1:3456/\n")
    return tmp_path


def test_url_and_aliases(folder: Path) -> None:
    """The URL and all aliases are read as `tahoe` reads them: comments, blank lines and an old root included."""
    (folder / "private" / "aliases").write_text("# one\n\ntahoe: URI:DIR2:a:b\n work:URI:DIR2:c:d \nnonsense\n")
    (folder / "private" / "root_dir.cap").write_text("URI:DIR2:old:root\n")
    node = NodeDirectory(folder)
    assert node.url() == "http://127.0.0.1:3456/"
    assert node.aliases() == {"tahoe": "URI:DIR2:a:b", "work": "URI:DIR2:c:d"}
    (folder / "private" / "aliases").unlink()
    assert node.aliases() == {"tahoe": "URI:DIR2:old:root"}


@pytest.mark.parametrize("before", ["", "# comment\na: URI:x\n", "# no newline at the end"])
def test_a_new_alias_is_added(folder: Path, before: str) -> None:
    """The file is kept byte for byte, and the new line comes last."""
    path = folder / "private" / "aliases"
    path.write_text(before)
    NodeDirectory(folder).add_alias("new", "URI:DIR2:x:y")
    text = path.read_text()
    assert text.startswith(before)
    assert text.endswith("\nnew: URI:DIR2:x:y\n") or text == "new: URI:DIR2:x:y\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AliasError, match="already"):
        NodeDirectory(folder).add_alias("new", "URI:DIR2:z:z")
    assert path.read_text() == text


def test_no_node_s_directory(tmp_path: Path) -> None:
    """A folder without a node's URL is refused; one that has not run has no name yet."""
    with pytest.raises(StoreError, match=r"node\.url"):
        NodeDirectory(tmp_path).url()
    assert NodeDirectory(tmp_path).node_id() is None
