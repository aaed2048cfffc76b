from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

import tallac
from tallac.cli.group import COMMANDS
from tallac.errors import AuthorityError, SourceError, UsageError


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tallac.Client]:
    """Give a client with a home of its own, and the default alias."""
    with tallac.Client(tallac.Folders.under(tmp_path / "home")) as client:
        client.create_alias("tallac")
        yield client


ONLY_ON_A_COMMAND_LINE = ["completion", "man"]
"""Commands that are about the command line itself."""


def test_the_names_of_the_command() -> None:
    """Whatever the command does, a program does under the same name, unless it is about the command line."""
    missing = [name for name in COMMANDS if not callable(getattr(tallac.Client, name.replace("-", "_"), None))]
    assert missing == ONLY_ON_A_COMMAND_LINE


def test_what_the_package_offers() -> None:
    """All that is announced is there, and nothing else is made up."""
    assert all(hasattr(tallac, name) for name in tallac.__all__)
    assert not hasattr(tallac, "nonsense")


def test_a_backup_and_back(client: tallac.Client, tmp_path: Path) -> None:
    """A program backs up, looks, and restores."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    summary = client.backup(source, "docs", workers=0)
    assert summary.files.new == 1
    [snapshot] = client.snapshots("docs")
    assert snapshot.name == summary.name
    assert snapshot.metadata.snapshot is not None
    assert snapshot.metadata.snapshot.version == tallac.__version__
    assert [entry.name for entry in client.ls("docs/Latest")] == [b"file"]
    assert client.cap("docs/Latest") == summary.cap
    client.restore("docs/Latest", tmp_path / "out")
    assert (tmp_path / "out" / "file").read_bytes() == b"content"
    assert client.check("docs", read_data=True).is_healthy


def test_a_missing_source_makes_nothing(tmp_path: Path) -> None:
    """A first backup of what is not there makes no vault."""
    with tallac.Client(tallac.Folders.under(tmp_path / "home")) as client:
        with pytest.raises(SourceError):
            client.backup(tmp_path / "nowhere")
        (tmp_path / "file").touch()
        with pytest.raises(UsageError):
            client.backup(tmp_path / "file")
    assert not (tmp_path / "home").exists()


def test_streams(client: tallac.Client) -> None:
    """Content comes from any stream, and goes to any."""
    cap = client.put(io.BytesIO(b"x" * 100), "a/b")
    sink = io.BytesIO()
    assert client.get("a/b", sink) == 100
    assert client.cap("a/b") == cap
    assert [(path, entry.is_directory) for path, entry in client.ls_recursive("")] == [((b"a",), True), ((b"a", b"b"), False)]


def test_a_backup_needs_a_write_cap(client: tallac.Client, tmp_path: Path) -> None:
    """A target that can only be read is refused before anything is read."""
    cap = client.cap("").danger_whole_text()
    with pytest.raises(AuthorityError, match="a write cap is needed"):
        client.backup(tmp_path, cap, workers=0)


def test_two_grids(client: tallac.Client, tmp_path: Path) -> None:
    """Between two vaults there is no linking."""
    folders = client.connection.folders
    with tallac.Client(folders, grid=str(tmp_path / "other")) as other:
        other.create_alias("other")
    client.mkdir("a")
    with pytest.raises(UsageError, match="another grid"):
        client.mv("a", "other:a")
    with pytest.raises(UsageError, match="another grid"):
        client.cp(["tallac:a"], "other:", recursive=True)
