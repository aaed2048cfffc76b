from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallac.app.configuration.configuration import ConfigurationFile
from tallac.app.configuration.folders import Folders
from tallac.app.locations.grid_options import GridOptions
from tallac.app.operations.aliases import Aliases
from tallac.app.workspace import Workspace
from tallac.backends.local import LocalBackend
from tallac.caps import DirectoryWriteCap, LiteralFile
from tallac.errors import AliasError, CapError, MalformedCapError, UsageError, VaultNotFoundError
from tallac.transfer.directory_edits import make_directory
from tallac.vault.format.header import read_identity
from tallac.vault.format.keys import WriterKey, parse_vault_key


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Give folders that are not there yet."""
    return Folders.under(tmp_path / "home")


@pytest.fixture
def workspace(folders: Folders) -> Iterator[Workspace]:
    """Give a workspace without any configuration."""
    workspace = Workspace(folders)
    yield workspace
    workspace.close()


def aliases_of(workspace: Workspace) -> Aliases:
    """Return what makes aliases; nothing may go wrong that is only warned of."""
    return Aliases(workspace, pytest.fail)


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


def test_the_first_alias_makes_a_vault(workspace: Workspace, folders: Folders) -> None:
    """Without any configuration, an alias gets a vault in the data folder, and the place is told."""
    assert aliases_of(workspace).create("home") == str(folders.vault)
    assert aliases_of(workspace).list() == [("home", str(folders.vault))]
    _, place = workspace.resolve("home:a/b")
    assert isinstance(place.cap, DirectoryWriteCap)
    assert (place.path, str(place)) == ((b"a", b"b"), "home:a/b")


def test_the_second_alias_uses_it(workspace: Workspace) -> None:
    """Another alias is another directory in the same vault."""
    aliases_of(workspace).create("tallac")
    assert aliases_of(workspace).create("other") == ""
    assert workspace.resolve("tallac:")[0] is workspace.resolve("other:")[0]
    assert workspace.resolve("tallac:")[1].cap != workspace.resolve("other:")[1].cap


def test_an_alias_elsewhere(folders: Folders, tmp_path: Path) -> None:
    """--vault with an empty folder makes a vault there; the default one is not touched."""
    (tmp_path / "disk").mkdir()
    workspace = Workspace(folders, GridOptions(vault=str(tmp_path / "disk")))
    assert aliases_of(workspace).create("usb:") == str(tmp_path / "disk")
    assert not folders.vault.exists()
    workspace.close()


def test_the_default_vault_is_in_the_data_folder(folders: Folders, tmp_path: Path) -> None:
    """The default alias goes to the data folder even where another vault is known."""
    usb = Workspace(folders, GridOptions(vault=str(tmp_path / "disk")))
    aliases_of(usb).create("usb")
    usb.close()
    workspace = Workspace(folders)
    assert aliases_of(workspace).ensure_default() == str(folders.vault)
    assert aliases_of(workspace).ensure_default() == ""
    workspace.close()


def test_a_folder_with_other_things(folders: Folders, tmp_path: Path) -> None:
    """No vault is made where anything else is, whatever its name."""
    (tmp_path / "Documents").mkdir()
    workspace = Workspace(folders, GridOptions(vault=str(tmp_path)))
    with pytest.raises(VaultNotFoundError, match="not empty"):
        aliases_of(workspace).create("usb")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Documents", "home"]


def test_an_unknown_alias(workspace: Workspace) -> None:
    """The message names the aliases that there are, and how to make one."""
    with pytest.raises(AliasError, match=r"no alias 'x': there are none yet; create one with `tallac create-alias x`"):
        workspace.resolve("x:")
    aliases_of(workspace).create("home")
    with pytest.raises(AliasError, match=r"no alias 'x': existing ones are home; create one"):
        workspace.resolve("x:")


def test_a_taken_name(workspace: Workspace) -> None:
    """An alias is never replaced."""
    aliases_of(workspace).create("home")
    cap = workspace.resolve("home:")[1].cap
    with pytest.raises(AliasError, match="already"):
        aliases_of(workspace).create("home:")
    assert workspace.resolve("home:")[1].cap == cap


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_killed_while_a_vault_is_made(folders: Folders, writes: int) -> None:
    """Whenever the first run is killed, the next one makes do with what there is: no key is lost, nothing is in the way."""
    killed = Workspace(folders)
    killed.file = DyingFile(folders.configuration, writes)
    killed.vaults._file = killed.file
    with pytest.raises(KilledError):
        aliases_of(killed).create("home")
    workspace = Workspace(folders)
    aliases_of(workspace).create("home")
    make_directory(*workspace.resolve("home:a"))
    workspace.close()
    configuration = workspace.file.read()
    assert list(configuration.grids) == [read_identity(LocalBackend(folders.vault))]
    assert configuration.unfinished == {}


@pytest.mark.parametrize("kept", [(), ("roots",), ("roots", "index"), ("roots", "index", "header")])
def test_killed_within_the_making(folders: Folders, kept: tuple[str, ...]) -> None:
    """A vault of which only the first parts were made is completed, with the key that was kept for it."""
    killed = Workspace(folders)
    killed.file = DyingFile(folders.configuration, 1)
    killed.vaults._file = killed.file
    with pytest.raises(KilledError):
        aliases_of(killed).create("home")
    key = next(iter(killed.file.read().unfinished.values()))
    for path in folders.vault.rglob("*"):
        if path.is_file() and path.name not in kept:
            path.unlink()
    workspace = Workspace(folders)
    assert aliases_of(workspace).create("home") == str(folders.vault)
    grid, place = workspace.resolve("home:a")
    make_directory(grid, place)
    assert workspace.vault_key("home").danger_whole_text() == key
    assert grid.check_structure(read_data=True).is_healthy
    workspace.close()


def test_a_making_that_lies_long_ago(folders: Folders, tmp_path: Path) -> None:
    """Another vault that has come to a place where one was begun is not touched."""
    killed = Workspace(folders)
    killed.file = DyingFile(folders.configuration, 1)
    killed.vaults._file = killed.file
    with pytest.raises(KilledError):
        aliases_of(killed).create("home")
    shutil.rmtree(folders.vault)
    other = Workspace(Folders.under(tmp_path / "other"))
    aliases_of(other).create("home")
    other.close()
    (tmp_path / "other" / "vault").rename(folders.vault)
    before = {path: path.read_bytes() for path in folders.vault.rglob("*") if path.is_file()}
    with pytest.raises(VaultNotFoundError, match="not empty"):
        aliases_of(Workspace(folders)).create("home")
    assert {path: path.read_bytes() for path in folders.vault.rglob("*") if path.is_file()} == before


def test_a_cap_in_place_of_an_alias(workspace: Workspace, folders: Folders, tmp_path: Path) -> None:
    """A cap is taken from the argument, from a file, or from standard input, and means the default vault."""
    aliases_of(workspace).create("tallac")
    text = workspace.resolve("tallac:")[1].cap.danger_whole_text()
    (tmp_path / "cap").write_text(f"  {text}\nsecond line\n")
    workspace.close()
    again = Workspace(folders, standard_input=io.BytesIO(text.encode() + b"\nrest"))
    for written in (f"{text}/a", f"{text}:./a", f"@{tmp_path / 'cap'}:a", "@-:a"):
        _, place = again.resolve(written)
        assert place.cap.danger_whole_text() == text
        assert place.path == (b"a",)
        assert text not in str(place)
    again.close()


def test_a_stranger_with_a_locator_key(workspace: Workspace, folders: Folders, tmp_path: Path) -> None:
    """Who is handed a read cap opens the vault with its locator key, and can remember both."""
    aliases_of(workspace).create("tallac")
    cap = workspace.resolve("tallac:")[1].cap
    assert isinstance(cap, DirectoryWriteCap)
    key = workspace.vault_key("tallac")
    workspace.close()
    (tmp_path / "key").write_text(key.locator_key.danger_whole_text())
    choice = GridOptions(vault=str(folders.vault), vault_key_file=str(tmp_path / "key"))
    stranger = Workspace(Folders.under(tmp_path / "stranger"), choice)
    grid, place = stranger.resolve(cap.read_cap.danger_whole_text())
    assert list(grid.read_directory(cap.read_cap)) == []
    aliases_of(stranger).add("gift", place.cap.danger_whole_text())
    stranger.close()
    later = Workspace(Folders.under(tmp_path / "stranger"))
    assert later.resolve("gift:")[1].cap == cap.read_cap
    later.close()


def test_a_vault_without_a_key(workspace: Workspace, folders: Folders, tmp_path: Path) -> None:
    """A vault that is not known here needs --vault-key, and the message says so."""
    aliases_of(workspace).create("tallac")
    text = workspace.resolve("tallac:")[1].cap.danger_whole_text()
    with pytest.raises(UsageError, match="--vault-key"):
        Workspace(Folders.under(tmp_path / "stranger"), GridOptions(vault=str(folders.vault))).resolve(text)
    with pytest.raises(UsageError, match="there is no vault yet"):
        Workspace(Folders.under(tmp_path / "stranger")).resolve(text)
    with pytest.raises(UsageError, match="requires --vault"):
        Workspace(Folders.under(tmp_path / "stranger"), GridOptions(vault_key_file="key")).resolve(text)


def test_a_vault_that_has_moved(workspace: Workspace, folders: Folders, tmp_path: Path) -> None:
    """A vault that is not at its place is said to be missing; --vault says where it is now."""
    aliases_of(workspace).create("home")
    workspace.close()
    folders.vault.rename(tmp_path / "moved")
    with pytest.raises(VaultNotFoundError, match="not found; attach its disk"):
        Workspace(folders).resolve("home:")
    found = Workspace(folders, GridOptions(vault=str(tmp_path / "moved")))
    assert found.resolve("home:")[0].identity == read_identity(LocalBackend(tmp_path / "moved"))
    found.close()


def test_another_vault_in_its_place(workspace: Workspace, folders: Folders, tmp_path: Path) -> None:
    """A vault that took another one's place is refused."""
    aliases_of(workspace).create("home")
    workspace.close()
    other = Workspace(Folders.under(tmp_path / "other"))
    aliases_of(other).create("home")
    other.close()
    folders.vault.rename(tmp_path / "moved")
    (tmp_path / "other" / "vault").rename(folders.vault)
    with pytest.raises(UsageError, match="another vault"):
        Workspace(folders).resolve("home:")


def test_a_mistyped_cap(workspace: Workspace) -> None:
    """A cap with a typing error is refused before any vault is opened."""
    with pytest.raises(MalformedCapError):
        workspace.resolve("URI:DIR2:aaaa:bbbb")


def test_an_alias_for_a_file(workspace: Workspace) -> None:
    """Only directories have aliases."""
    aliases_of(workspace).create("tallac")
    with pytest.raises(AliasError, match="another kind"):
        aliases_of(workspace).add("gift", LiteralFile(b"not").danger_whole_text())


def test_keys_attenuate(workspace: Workspace) -> None:
    """The configuration keeps the writer key, as text that is read back."""
    aliases_of(workspace).create("home")
    key = workspace.vault_key("home:")
    assert isinstance(key, WriterKey)
    assert parse_vault_key(key.danger_whole_text()) == key


def test_an_empty_secret(folders: Folders) -> None:
    """An empty standard input is no cap."""
    with pytest.raises(UsageError, match="standard input"):
        Workspace(folders, standard_input=io.BytesIO()).resolve("@-:a")
    with pytest.raises(UsageError, match="nowhere"):
        Workspace(folders).resolve("@nowhere:a")


def test_a_malformed_key(workspace: Workspace, folders: Folders, tmp_path: Path) -> None:
    """A vault key with a typing error is refused, and not shown."""
    aliases_of(workspace).create("tallac")
    (tmp_path / "key").write_text("tallac-locator-2:zzzz")
    with pytest.raises(CapError) as caught:
        Workspace(
            Folders.under(tmp_path / "s"), GridOptions(vault=str(folders.vault), vault_key_file=str(tmp_path / "key"))
        ).resolve(workspace.resolve("tallac:")[1].cap.danger_whole_text())
    assert "zzzz" not in str(caught.value)


def test_a_vault_made_explicitly(workspace: Workspace, folders: Folders) -> None:
    """Without a location the new vault is in the user's data folder, and has the default alias."""
    aliases = aliases_of(workspace)
    assert aliases.init() == str(folders.vault)
    assert aliases.list() == [("tallac", str(folders.vault))]
    make_directory(*workspace.resolve("tallac:a"))


def test_a_vault_made_at_a_location(folders: Folders, tmp_path: Path) -> None:
    """A vault is made in a new folder, given as the argument or as the option, under the name that is wanted."""
    with_argument, with_option = Workspace(folders), Workspace(folders, GridOptions(vault=str(tmp_path / "two")))
    assert aliases_of(with_argument).init(str(tmp_path / "one"), "one:") == str(tmp_path / "one")
    assert aliases_of(with_option).init(name="two") == str(tmp_path / "two")
    assert aliases_of(with_argument).list() == [("one", str(tmp_path / "one")), ("two", str(tmp_path / "two"))]
    with pytest.raises(UsageError, match="the location of the new vault is given twice"):
        aliases_of(with_option).init(str(tmp_path / "three"), "three")
    assert not (tmp_path / "three").exists()
    with_argument.close()
    with_option.close()


def test_a_vault_that_is_there_is_not_made_again(workspace: Workspace, folders: Folders, tmp_path: Path) -> None:
    """The message says what to do: take another's vault over, or make an alias on one's own."""
    other = Workspace(Folders.under(tmp_path / "other"))
    location = aliases_of(other).init()
    other.close()
    before = {path: path.read_bytes() for path in Path(location).rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=f"there is a vault already; `tallac connect {location}` gets your aliases back"):
        aliases_of(workspace).init(location)
    assert {path: path.read_bytes() for path in Path(location).rglob("*") if path.is_file()} == before
    aliases_of(workspace).init(name="one")
    with pytest.raises(UsageError, match="and its key is known here; `tallac create-alias` creates an alias in it"):
        aliases_of(workspace).init()
    assert aliases_of(workspace).list() == [("one", str(folders.vault))]


def test_a_vault_with_a_taken_name(workspace: Workspace, tmp_path: Path) -> None:
    """Where the alias is there, no vault is made."""
    aliases_of(workspace).init()
    with pytest.raises(AliasError, match="the alias 'tallac' exists already"):
        aliases_of(workspace).init(str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_no_vault_is_made_among_other_things(workspace: Workspace, tmp_path: Path) -> None:
    """A folder with anything in it, a plain Tahoe-LAFS grid, and a given key are refused."""
    (tmp_path / "Documents").mkdir()
    with pytest.raises(VaultNotFoundError, match="not empty"):
        aliases_of(workspace).init(str(tmp_path))
    with pytest.raises(UsageError, match="needs no vault"):
        aliases_of(workspace).init("tahoe:http://127.0.0.1:1/")
    with pytest.raises(UsageError, match="a key of its own"):
        aliases_of(Workspace(workspace.folders, GridOptions(vault_key_file="key"))).init(str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_killed_while_a_vault_is_made_explicitly(folders: Folders, writes: int) -> None:
    """Whenever the first run is killed, the next one goes on, or says how."""
    killed = Workspace(folders)
    killed.file = DyingFile(folders.configuration, writes)
    killed.vaults._file = killed.file
    with pytest.raises(KilledError):
        aliases_of(killed).init()
    workspace = Workspace(folders)
    if writes < 2:
        aliases_of(workspace).init()
    else:
        with pytest.raises(UsageError, match="create-alias"):
            aliases_of(workspace).init()
        aliases_of(workspace).create("tallac")
    make_directory(*workspace.resolve("tallac:a"))
    workspace.close()
    assert len(workspace.file.read().grids) == 1
