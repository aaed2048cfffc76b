from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

import tallac
from tallac.errors import AuthorityError, SourceError, UsageError


@pytest.fixture
def client(tmp_path: Path) -> Iterator[tallac.Client]:
    """Give a client with a home of its own, and the default alias."""
    with tallac.Client(tallac.Folders.under(tmp_path / "home")) as client:
        client.aliases.create("tallac")
        yield client


SERVICES = ("aliases", "backups", "files", "gateway", "inspect", "keys", "restores", "snapshots", "vault")


def test_the_services(client: tallac.Client) -> None:
    """The client has nine services, each made once, and nothing else that does anything."""
    assert sorted(name for name, value in vars(tallac.Client).items() if isinstance(value, cached_property)) == list(SERVICES)
    for name in SERVICES:
        assert getattr(client, name) is getattr(client, name)
    assert [name for name, value in vars(tallac.Client).items() if callable(value) and not name.startswith("_")] == ["close"]


def test_what_the_package_offers() -> None:
    """All that is announced is there, and nothing else is made up."""
    assert all(hasattr(tallac, name) for name in tallac.__all__)
    assert not hasattr(tallac, "nonsense")


def test_a_backup_and_back(client: tallac.Client, tmp_path: Path) -> None:
    """A program backs up, looks, and restores."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_bytes(b"content")
    summary = client.backups.run(source, "docs", workers=0)
    assert summary.files.new == 1
    [snapshot] = client.snapshots.list("docs")
    assert snapshot.name == summary.name
    assert snapshot.metadata.snapshot is not None
    assert snapshot.metadata.snapshot.version == tallac.__version__
    assert [entry.name for entry in client.inspect.ls("docs/Latest")] == [b"file"]
    assert client.files.cap("docs/Latest") == summary.cap
    client.restores.restore("docs/Latest", tmp_path / "out")
    assert (tmp_path / "out" / "file").read_bytes() == b"content"
    assert client.vault.check("docs", read_data=True).is_healthy


def test_a_missing_source_makes_nothing(tmp_path: Path) -> None:
    """A first backup of what is not there makes no vault."""
    with tallac.Client(tallac.Folders.under(tmp_path / "home")) as client:
        with pytest.raises(SourceError):
            client.backups.run(tmp_path / "nowhere")
        (tmp_path / "file").touch()
        with pytest.raises(UsageError):
            client.backups.run(tmp_path / "file")
    assert not (tmp_path / "home").exists()


def test_streams(client: tallac.Client) -> None:
    """Content comes from any stream, and goes to any."""
    cap = client.files.put(io.BytesIO(b"x" * 100), "a/b")
    sink = io.BytesIO()
    assert client.files.get("a/b", sink) == 100
    assert client.files.cap("a/b") == cap
    assert [(path, entry.is_directory) for path, entry in client.inspect.ls_recursive("")] == [
        ((b"a",), True),
        ((b"a", b"b"), False),
    ]


def test_a_backup_needs_a_write_cap(client: tallac.Client, tmp_path: Path) -> None:
    """A target that can only be read is refused before anything is read."""
    cap = client.files.cap("").danger_whole_text()
    with pytest.raises(AuthorityError, match="a write cap is needed"):
        client.backups.run(tmp_path, cap, workers=0)


def test_two_grids(client: tallac.Client, tmp_path: Path) -> None:
    """Between two vaults there is no linking."""
    folders = client.workspace.folders
    with tallac.Client(folders, vault=str(tmp_path / "other")) as other:
        other.aliases.create("other")
    client.files.mkdir("a")
    with pytest.raises(UsageError, match="another grid"):
        client.files.mv("a", "other:a")
    with pytest.raises(UsageError, match="another grid"):
        client.files.cp(["tallac:a"], "other:", recursive=True)
