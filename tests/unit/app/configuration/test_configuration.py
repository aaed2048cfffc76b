from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.app.configuration.configuration import Alias, Configuration, ConfigurationFile, KnownGrid
from tallac.errors import ConfigurationError


@pytest.fixture
def file(tmp_path: Path) -> ConfigurationFile:
    """Give a configuration that is not there yet."""
    return ConfigurationFile(tmp_path / "deep" / "config")


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let the umask allow everything."""
    old = os.umask(0)
    yield
    os.umask(old)


def add_alias(folder: Path, name: str) -> None:
    """Add one alias, as a command does."""
    with ConfigurationFile(folder).updating() as configuration:
        configuration.aliases[name] = Alias("grid", f"URI:{name}")


def test_nothing_is_an_empty_configuration(file: ConfigurationFile) -> None:
    """Where there is no file, there are no aliases, and nothing is made by looking."""
    assert file.read() == Configuration()
    assert not file.path.parent.exists()


def test_what_was_written_is_read(file: ConfigurationFile) -> None:
    """An update is there for the next reader."""
    with file.updating() as configuration:
        configuration.grids["g"] = KnownGrid("file:///v", "tallac-writer-2:x")
        configuration.aliases["home"] = Alias("g", "URI:DIR2:x:y")
    assert file.read().aliases == {"home": Alias("g", "URI:DIR2:x:y")}
    assert file.read().grids == {"g": KnownGrid("file:///v", "tallac-writer-2:x")}


def test_nobody_else_may_read(file: ConfigurationFile, open_umask: None) -> None:
    """Folder and files are the user's alone from the start, whatever the umask."""
    add_alias(file.path.parent, "home")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.path.parent.iterdir()}
    assert modes == {"tallac.json": 0o600, "lock": 0o600}
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.path.parent.parent.stat().st_mode) == 0o700


def test_a_link_is_written_through(file: ConfigurationFile, tmp_path: Path) -> None:
    """A configuration that is a link, of links, stays one: what it leads to is replaced, and nothing else is left there."""
    dotfiles = tmp_path / "dot files"
    dotfiles.mkdir()
    add_alias(file.path.parent, "home")
    file.path.rename(dotfiles / "mine.json")
    (tmp_path / "middle").symlink_to("dot files/mine.json")
    file.path.symlink_to(os.path.relpath(tmp_path / "middle", file.path.parent))
    add_alias(file.path.parent, "usb")
    assert file.path.is_symlink()
    assert (tmp_path / "middle").is_symlink()
    assert set(file.read().aliases) == {"home", "usb"}
    assert [path.name for path in dotfiles.iterdir()] == ["mine.json"]
    assert stat.S_IMODE((dotfiles / "mine.json").stat().st_mode) == 0o600


def test_a_link_to_nothing_yet_is_the_first_place(file: ConfigurationFile, tmp_path: Path) -> None:
    """A link into a folder that is there is written through, also where the file itself is not there yet."""
    file.path.parent.mkdir(parents=True)
    file.path.symlink_to(tmp_path / "new.json")
    add_alias(file.path.parent, "home")
    assert file.path.is_symlink()
    assert (tmp_path / "new.json").is_file()


def test_a_link_to_a_folder_that_is_away_is_no_empty_configuration(file: ConfigurationFile, tmp_path: Path) -> None:
    """Where the disk with the configuration is not attached, this is an error, and no first use."""
    file.path.parent.mkdir(parents=True)
    file.path.symlink_to(tmp_path / "unmounted" / "mine.json")
    with pytest.raises(ConfigurationError, match=r"link to .*unmounted/mine\.json, whose folder is not there; attach its disk"):
        file.read()
    with pytest.raises(ConfigurationError, match="attach its disk"):
        add_alias(file.path.parent, "home")
    assert file.path.is_symlink()


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o400, False), (0o644, True), (0o640, True), (0o620, True)])
def test_keys_that_others_can_read_are_warned_of_once(file: ConfigurationFile, mode: int, is_told: bool) -> None:
    """A configuration that others than the user can read or write is used, and this is said once, with what to do."""
    add_alias(file.path.parent, "home")
    file.path.chmod(mode)
    told: list[str] = []
    reader = ConfigurationFile(file.path.parent, told.append)
    assert set(reader.read().aliases) == set(reader.read().aliases) == {"home"}
    said = f"{file.path}: others on this machine can read the keys in it; run `chmod 600 {file.path}`"
    assert told == ([said] if is_told else [])


def test_an_error_leaves_the_file(file: ConfigurationFile) -> None:
    """An update that fails changes nothing."""
    add_alias(file.path.parent, "home")
    before = file.path.read_bytes()
    with suppress(RuntimeError), file.updating() as configuration:
        configuration.aliases.clear()
        raise RuntimeError
    assert file.path.read_bytes() == before


def test_a_leftover_does_no_harm(file: ConfigurationFile) -> None:
    """What a killed run left of a new file is replaced, with its rights."""
    add_alias(file.path.parent, "home")
    leftover = file.path.with_name("tallac.json.new")
    leftover.write_text("{")
    leftover.chmod(0o644)
    add_alias(file.path.parent, "other")
    assert set(file.read().aliases) == {"home", "other"}
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


ADD_ALIASES = """
import sys
from contextlib import suppress
from pathlib import Path
from tallac.app.configuration.configuration import Alias, ConfigurationFile
for number in range(10):
    with ConfigurationFile(Path(sys.argv[1])).updating() as configuration:
        configuration.aliases[f"{sys.argv[2]}{number}"] = Alias("grid", "URI:x")
"""


def test_several_at_once_lose_nothing(tmp_path: Path) -> None:
    """Updates of several processes at a time are all there afterwards."""
    command = [sys.executable, "-c", ADD_ALIASES, str(tmp_path / "config")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    running = [subprocess.Popen([*command, name], env=environment) for name in "abcd"]
    assert [process.wait(PATIENCE_SECONDS) for process in running] == [0] * 4
    names = {f"{name}{number}" for name in "abcd" for number in range(10)}
    assert set(ConfigurationFile(tmp_path / "config").read().aliases) == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"[]", "malformed"),
        (b'{"format": 1, "strange": {}}', "malformed"),
        (b'{"format": 1, "aliases": {"home": {"grid": "g"}}}', "malformed"),
        (b'{"format": 2, "strange": {}}', "newer Tallac"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 100_000, "malformed"),
    ],
)
def test_a_file_that_is_none(file: ConfigurationFile, text: bytes, words: str) -> None:
    """A configuration that can't be understood is an error that names the file, and is left as it is."""
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        file.read()
    assert str(file.path) in str(caught.value)
    with pytest.raises(ConfigurationError), file.updating():
        pass
    assert file.path.read_bytes() == text


def test_secrets_are_in_no_repr() -> None:
    """Neither a key nor a cap shows up in what is printed of the configuration."""
    grid, alias = KnownGrid("file:///v", "secret"), Alias("g", "secret")
    configuration = Configuration(grids={"g": grid}, aliases={"a": alias}, unfinished={"u": "secret"})
    assert "secret" not in f"{grid!r}{alias!r}{configuration!r}{grid}{alias}{configuration}"


def test_a_malformed_value_is_not_quoted(file: ConfigurationFile) -> None:
    """The message on a malformed file holds none of its values."""
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(b'{"format": 1, "aliases": {"home": "URI:DIR2:secret:secret"}}')
    with pytest.raises(ConfigurationError) as caught:
        file.read()
    assert "secret" not in str(caught.value)
