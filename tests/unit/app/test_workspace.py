from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallac.app.configuration.configuration import ConfigurationFile
from tallac.app.configuration.folders import Folders
from tallac.app.locations.grid_options import GridChoice
from tallac.app.workspace import Connection
from tallac.backends.local import LocalBackend
from tallac.caps import DirectoryWriteCap, LiteralFile
from tallac.errors import AliasError, CapError, MalformedCapError, UsageError, VaultNotFoundError
from tallac.transfer import make_directory
from tallac.vault.format.header import read_identity
from tallac.vault.format.keys import WriterKey, parse_vault_key


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Give folders that are not there yet."""
    return Folders.under(tmp_path / "home")


@pytest.fixture
def connection(folders: Folders) -> Iterator[Connection]:
    """Give a connection without any configuration."""
    connection = Connection(folders)
    yield connection
    connection.close()


class KilledError(BaseException):
    """Ends a run as kill -9 would: nobody catches it."""


class DyingFile(ConfigurationFile):
    """A configuration whose writer is killed at the n-th write."""

    def __init__(self, folder: Path, writes_left: int) -> None:
        super().__init__(folder)
        self._writes_left = writes_left

    def write(self, configuration: object) -> None:
        if not self._writes_left:
            raise KilledError
        self._writes_left -= 1
        super().write(configuration)  # type: ignore[arg-type]


def test_the_first_alias_makes_a_vault(connection: Connection, folders: Folders) -> None:
    """Without any configuration, an alias gets a vault in the data folder, and the place is told."""
    assert connection.create_alias("home") == str(folders.vault)
    assert connection.aliases() == [("home", str(folders.vault))]
    _, place = connection.resolve("home:a/b")
    assert isinstance(place.cap, DirectoryWriteCap)
    assert (place.path, str(place)) == ((b"a", b"b"), "home:a/b")


def test_the_second_alias_uses_it(connection: Connection) -> None:
    """Another alias is another directory in the same vault."""
    connection.create_alias("tallac")
    assert connection.create_alias("other") == ""
    assert connection.resolve("tallac:")[0] is connection.resolve("other:")[0]
    assert connection.resolve("tallac:")[1].cap != connection.resolve("other:")[1].cap


def test_an_alias_elsewhere(folders: Folders, tmp_path: Path) -> None:
    """--grid with an empty folder makes a vault there; the default one is not touched."""
    (tmp_path / "disk").mkdir()
    connection = Connection(folders, GridChoice(str(tmp_path / "disk")))
    assert connection.create_alias("usb:") == str(tmp_path / "disk")
    assert not folders.vault.exists()
    connection.close()


def test_the_default_vault_is_in_the_data_folder(folders: Folders, tmp_path: Path) -> None:
    """The default alias goes to the data folder even where another vault is known."""
    usb = Connection(folders, GridChoice(str(tmp_path / "disk")))
    usb.create_alias("usb")
    usb.close()
    connection = Connection(folders)
    assert connection.ensure_default_alias() == str(folders.vault)
    assert connection.ensure_default_alias() is None
    connection.close()


def test_a_folder_with_other_things(folders: Folders, tmp_path: Path) -> None:
    """No vault is made where anything else is, whatever its name."""
    (tmp_path / "Documents").mkdir()
    connection = Connection(folders, GridChoice(str(tmp_path)))
    with pytest.raises(VaultNotFoundError, match="not empty"):
        connection.create_alias("usb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Documents", "home"]


def test_an_unknown_alias(connection: Connection) -> None:
    """The message names the aliases that there are, and how to make one."""
    with pytest.raises(AliasError, match=r"no alias 'x': there is none yet; make one with `tallac create-alias x`"):
        connection.resolve("x:")
    connection.create_alias("home")
    with pytest.raises(AliasError, match=r"no alias 'x': existing ones are home; make one"):
        connection.resolve("x:")


def test_a_taken_name(connection: Connection) -> None:
    """An alias is never replaced."""
    connection.create_alias("home")
    cap = connection.resolve("home:")[1].cap
    with pytest.raises(AliasError, match="already"):
        connection.create_alias("home:")
    assert connection.resolve("home:")[1].cap == cap


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_killed_while_a_vault_is_made(folders: Folders, writes: int) -> None:
    """Whenever the first run is killed, the next one makes do with what there is: no key is lost, nothing is in the way."""
    killed = Connection(folders)
    killed.file = DyingFile(folders.configuration, writes)
    killed.vaults._file = killed.file
    with pytest.raises(KilledError):
        killed.create_alias("home")
    connection = Connection(folders)
    connection.create_alias("home")
    make_directory(*connection.resolve("home:a"))
    connection.close()
    configuration = connection.file.read()
    assert list(configuration.grids) == [read_identity(LocalBackend(folders.vault))]
    assert configuration.unfinished == {}


@pytest.mark.parametrize("kept", [(), ("roots",), ("roots", "index"), ("roots", "index", "header")])
def test_killed_within_the_making(folders: Folders, kept: tuple[str, ...]) -> None:
    """A vault of which only the first parts were made is completed, with the key that was kept for it."""
    killed = Connection(folders)
    killed.file = DyingFile(folders.configuration, 1)
    killed.vaults._file = killed.file
    with pytest.raises(KilledError):
        killed.create_alias("home")
    key = next(iter(killed.file.read().unfinished.values()))
    for path in folders.vault.rglob("*"):
        if path.is_file() and path.name not in kept:
            path.unlink()
    connection = Connection(folders)
    assert connection.create_alias("home") == str(folders.vault)
    grid, place = connection.resolve("home:a")
    make_directory(grid, place)
    assert connection.vault_key("home").danger_whole_text() == key
    assert grid.check_structure(read_data=True).is_healthy
    connection.close()


def test_a_making_that_lies_long_ago(folders: Folders, tmp_path: Path) -> None:
    """Another vault that has come to a place where one was begun is not touched."""
    killed = Connection(folders)
    killed.file = DyingFile(folders.configuration, 1)
    killed.vaults._file = killed.file
    with pytest.raises(KilledError):
        killed.create_alias("home")
    shutil.rmtree(folders.vault)
    other = Connection(Folders.under(tmp_path / "other"))
    other.create_alias("home")
    other.close()
    (tmp_path / "other" / "vault").rename(folders.vault)
    before = {path: path.read_bytes() for path in folders.vault.rglob("*") if path.is_file()}
    with pytest.raises(VaultNotFoundError, match="not empty"):
        Connection(folders).create_alias("home")
    assert {path: path.read_bytes() for path in folders.vault.rglob("*") if path.is_file()} == before


def test_a_cap_in_place_of_an_alias(connection: Connection, folders: Folders, tmp_path: Path) -> None:
    """A cap is taken from the argument, from a file, or from standard input, and means the default vault."""
    connection.create_alias("tallac")
    text = connection.resolve("tallac:")[1].cap.danger_whole_text()
    (tmp_path / "cap").write_text(f"  {text}\nsecond line\n")
    connection.close()
    again = Connection(folders, standard_input=io.BytesIO(text.encode() + b"\nrest"))
    for written in (f"{text}/a", f"{text}:./a", f"@{tmp_path / 'cap'}:a", "@-:a"):
        _, place = again.resolve(written)
        assert place.cap.danger_whole_text() == text
        assert place.path == (b"a",)
        assert text not in str(place)
    again.close()


def test_a_stranger_with_a_locator_key(connection: Connection, folders: Folders, tmp_path: Path) -> None:
    """Who is handed a read cap opens the vault with its locator key, and can remember both."""
    connection.create_alias("tallac")
    cap = connection.resolve("tallac:")[1].cap
    assert isinstance(cap, DirectoryWriteCap)
    key = connection.vault_key("tallac")
    connection.close()
    (tmp_path / "key").write_text(key.locator_key.danger_whole_text())
    choice = GridChoice(str(folders.vault), str(tmp_path / "key"))
    stranger = Connection(Folders.under(tmp_path / "stranger"), choice)
    grid, place = stranger.resolve(cap.read_cap.danger_whole_text())
    assert list(grid.read_directory(cap.read_cap)) == []
    stranger.add_alias("gift", place.cap)
    stranger.close()
    later = Connection(Folders.under(tmp_path / "stranger"))
    assert later.resolve("gift:")[1].cap == cap.read_cap
    later.close()


def test_a_vault_without_a_key(connection: Connection, folders: Folders, tmp_path: Path) -> None:
    """A vault that is not known here needs --vault-key, and the message says so."""
    connection.create_alias("tallac")
    text = connection.resolve("tallac:")[1].cap.danger_whole_text()
    with pytest.raises(UsageError, match="--vault-key"):
        Connection(Folders.under(tmp_path / "stranger"), GridChoice(str(folders.vault))).resolve(text)
    with pytest.raises(UsageError, match="--grid FOLDER"):
        Connection(Folders.under(tmp_path / "stranger")).resolve(text)
    with pytest.raises(UsageError, match="give both"):
        Connection(Folders.under(tmp_path / "stranger"), GridChoice(None, "key")).resolve(text)


def test_a_vault_that_has_moved(connection: Connection, folders: Folders, tmp_path: Path) -> None:
    """A vault that is not at its place is said to be missing; --grid says where it is now."""
    connection.create_alias("home")
    connection.close()
    folders.vault.rename(tmp_path / "moved")
    with pytest.raises(VaultNotFoundError, match="not there; attach its disk"):
        Connection(folders).resolve("home:")
    found = Connection(folders, GridChoice(str(tmp_path / "moved")))
    assert found.resolve("home:")[0].identity == read_identity(LocalBackend(tmp_path / "moved"))
    found.close()


def test_another_vault_in_its_place(connection: Connection, folders: Folders, tmp_path: Path) -> None:
    """A vault that took another one's place is refused."""
    connection.create_alias("home")
    connection.close()
    other = Connection(Folders.under(tmp_path / "other"))
    other.create_alias("home")
    other.close()
    folders.vault.rename(tmp_path / "moved")
    (tmp_path / "other" / "vault").rename(folders.vault)
    with pytest.raises(UsageError, match="another vault"):
        Connection(folders).resolve("home:")


def test_a_mistyped_cap(connection: Connection) -> None:
    """A cap with a typing error is refused before any vault is opened."""
    with pytest.raises(MalformedCapError):
        connection.resolve("URI:DIR2:aaaa:bbbb")


def test_an_alias_for_a_file(connection: Connection) -> None:
    """Only directories have aliases."""
    connection.create_alias("tallac")
    with pytest.raises(AliasError, match="another kind"):
        connection.add_alias("gift", LiteralFile(b"not"))


def test_keys_attenuate(connection: Connection) -> None:
    """The configuration keeps the writer key, as text that is read back."""
    connection.create_alias("home")
    key = connection.vault_key("home:")
    assert isinstance(key, WriterKey)
    assert parse_vault_key(key.danger_whole_text()) == key


def test_an_empty_secret(folders: Folders) -> None:
    """An empty standard input is no cap."""
    with pytest.raises(UsageError, match="standard input"):
        Connection(folders, standard_input=io.BytesIO()).resolve("@-:a")
    with pytest.raises(UsageError, match="nowhere"):
        Connection(folders).resolve("@nowhere:a")


def test_a_malformed_key(connection: Connection, folders: Folders, tmp_path: Path) -> None:
    """A vault key with a typing error is refused, and not shown."""
    connection.create_alias("tallac")
    (tmp_path / "key").write_text("tallac-locator-1:zzzz")
    with pytest.raises(CapError) as caught:
        Connection(Folders.under(tmp_path / "s"), GridChoice(str(folders.vault), str(tmp_path / "key"))).resolve(
            connection.resolve("tallac:")[1].cap.danger_whole_text()
        )
    assert "zzzz" not in str(caught.value)
