"""Keys out of the plain configuration, through the command."""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.keyring_command import with_keyring

from tallac.app.client import Client
from tallac.app.configuration.folders import Folders
from tallac.errors import UsageError

# Each runs the command several times.
pytestmark = pytest.mark.slow


def secrets_in(tallac: Tallac) -> list[str]:
    """Give what the configuration holds of caps and keys in plain text."""
    text = (tallac.home / "config" / "tallac.json").read_text()
    return [word for word in ("URI:", "tallac-writer", "tallac-envelope") if word in text]


@pytest.fixture
def backed_up(tallac: Tallac, source: Path) -> Tallac:
    """Give a machine with one snapshot, and a passphrase on its vault."""
    tallac("backup", source)
    tallac("add-passphrase", "--passphrase-file", "-", stdin=b"several words of mine")
    return tallac


def works(tallac: Tallac, source: Path) -> None:
    """Use all that needs a key or a cap."""
    assert tallac("snapshots").out
    assert tallac("backup", source).err == ""
    tallac("create-alias", "more")
    tallac("list-passphrases")
    assert tallac("check", "tallac:").err == ""


def test_a_key_in_a_file(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """The file is made, readable by the user alone; the configuration opens nothing without it, and all works with it."""
    assert backed_up("key-source").lines == [b"the key is in the configuration"]
    key, kit = tmp_path / "key.txt", backed_up("recovery-kit").out
    backed_up("key-source", "tallac:", "--file", key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert secrets_in(backed_up) == []
    assert backed_up("key-source").lines == [f"the key is in the file {key}".encode()]
    assert backed_up("recovery-kit").out == kit
    works(backed_up, source)
    assert secrets_in(backed_up) == []
    key.rename(tmp_path / "gone")
    assert f"{key}: can't read it" in backed_up.fails("snapshots", status=2)
    (tmp_path / "gone").rename(key)
    backed_up("key-source", "--configuration")
    assert secrets_in(backed_up) == ["URI:", "tallac-writer", "tallac-envelope"]
    key.unlink()
    assert backed_up("snapshots").out


def test_a_key_behind_a_command(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """What a password manager prints serves, once it prints the right key."""
    key = tmp_path / "key.txt"
    backed_up("key-source", "--file", key)
    printing = shlex.join([sys.executable, "-c", f"print(open({str(key)!r}).read())"])
    backed_up("key-source", "--command", printing)
    works(backed_up, source)
    assert secrets_in(backed_up) == []
    other = Tallac(tmp_path / "other")
    other("backup", source)
    other("key-source", "--file", tmp_path / "other.txt")
    key.write_bytes((tmp_path / "other.txt").read_bytes())
    assert "this is another key" in backed_up.fails("snapshots")


def test_a_key_in_the_system_keyring(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """The keyring gets the key, and gives it to each command."""
    machine = with_keyring(backed_up, tmp_path / "keyring.json")
    machine("key-source", "--keyring", "home")
    assert json.loads((tmp_path / "keyring.json").read_text())["tallac/home"].startswith("tallac-writer-2:")
    works(machine, source)
    assert secrets_in(machine) == []
    (tmp_path / "keyring.json").unlink()
    assert "no entry 'home'" in machine.fails("snapshots", status=2)


def test_connecting_where_the_key_is_elsewhere(backed_up: Tallac, source: Path, tmp_path: Path) -> None:
    """Aliases that come by passphrase are sealed as the others are."""
    machine = Tallac(tmp_path / "second")
    machine("connect", backed_up.vault, "--passphrase-file", "-", stdin=b"several words of mine")
    machine("key-source", "--file", tmp_path / "key.txt")
    backed_up("create-alias", "late")
    said = machine("connect", backed_up.vault, "--passphrase-file", "-", stdin=b"several words of mine").error_lines
    assert said == ["alias late: is ready", "alias tallac: existed already"]
    assert secrets_in(machine) == []
    works(machine, source)


def test_what_can_not_be_a_key_source(backed_up: Tallac, tmp_path: Path) -> None:
    """A place that holds something else is refused, and the configuration keeps the key."""
    (tmp_path / "text").write_text("something else\n")
    assert "not a vault key" in backed_up.fails("key-source", "--file", tmp_path / "text", status=2)
    assert "status 1" in backed_up.fails("key-source", "--command", "false", status=2)
    assert "give one of" in backed_up.fails("key-source", "--command", "x", "--configuration", status=2)
    assert "can't write it" in backed_up.fails("key-source", "--file", tmp_path / "no" / "where")
    backed_up("key-source", "--file", tmp_path / "key.txt", "--dry-run")
    assert not os.path.lexists(tmp_path / "key.txt")
    assert secrets_in(backed_up) == ["URI:", "tallac-writer", "tallac-envelope"]


def test_a_configuration_that_was_changed(backed_up: Tallac, tmp_path: Path) -> None:
    """A sealed cap that does not open is named as damage of the configuration."""
    backed_up("key-source", "--file", tmp_path / "key.txt")
    path = backed_up.home / "config" / "tallac.json"
    configuration = json.loads(path.read_text())
    configuration["aliases"]["tallac"]["cap"] = "sealed:" + "A" * 200
    path.write_text(json.dumps(configuration))
    assert "can't be decrypted" in backed_up.fails("snapshots")


def test_a_key_for_one_command(backed_up: Tallac, tmp_path: Path) -> None:
    """A keeper's key may come from a command, of a vault that the configuration does not know."""
    (tmp_path / "keeper.txt").write_bytes(backed_up("keeper-key").out)
    keeper = Tallac(tmp_path / "keeper")
    printing = shlex.join(["cat", str(tmp_path / "keeper.txt")])
    keeper("prune", "--dry-run", "--vault", backed_up.vault, "--vault-key-command", printing)
    both = ("--vault", backed_up.vault, "--vault-key-command", printing, "--vault-key", tmp_path / "keeper.txt")
    assert "give one of them" in keeper.fails("prune", *both, status=2)
    assert "ended with status 1" in keeper.fails("prune", "--vault", backed_up.vault, "--vault-key-command", "false", status=2)


def test_completion_asks_nobody(backed_up: Tallac, tmp_path: Path) -> None:
    """Pressing the tab key runs no command that may ask for something; what would need the key is not completed."""
    backed_up("key-source", "--file", tmp_path / "key.txt")
    marked = tmp_path / "asked"
    script = f"import pathlib; pathlib.Path({str(marked)!r}).touch(); print(open({str(tmp_path / 'key.txt')!r}).read())"
    backed_up("key-source", "--command", shlex.join([sys.executable, "-c", script]))
    assert marked.exists()
    marked.unlink()
    client = Client(Folders.under(backed_up.home), may_ask=False)
    with pytest.raises(UsageError, match="not allowed here"):
        client.workspace.resolve("tallac:Latest")
    assert not marked.exists()
