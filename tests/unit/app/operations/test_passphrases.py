from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallac.app.client import Client
from tallac.app.configuration.configuration import Alias, Configuration, KnownGrid
from tallac.app.configuration.folders import Folders
from tallac.app.keys.imported_keys import AliasImport
from tallac.app.operations.user_envelopes import UserEnvelopes
from tallac.backends.local import LocalBackend
from tallac.clock import SystemClock
from tallac.errors import AliasError, WrongPassphraseError
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import WriterKey, parse_envelope_key


class Stopped(BaseException):
    """Ends a run as kill -9 would: nobody catches it."""


@pytest.fixture
def told() -> list[str]:
    """Give what the client is going to warn of."""
    return []


@pytest.fixture
def client(tmp_path: Path, told: list[str]) -> Iterator[Client]:
    """Give a user with one alias on a vault of their own."""
    with Client(Folders.under(tmp_path / "home"), warn=told.append) as client:
        client.aliases.create("home")
        yield client


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Client]:
    """Give a user whose machine knows nothing."""
    with Client(Folders.under(tmp_path / "new")) as client:
        yield client


def stop() -> str:
    """Be killed while a passphrase is typed."""
    raise Stopped


@pytest.mark.slow
def test_a_change_that_was_killed(client: Client, newcomer: Client) -> None:
    """Killed between the new passphrase and the end of the old one, a change leaves both; changed again, all old ones go."""
    client.keys.passphrases.add("home:", lambda: "old", "main")
    vault, configuration = client.workspace.folders.vault, client.workspace.file.read()
    [identity] = configuration.grids
    key = parse_envelope_key(client.workspace.sealed.envelope_key(configuration, identity))
    backend = LocalBackend(vault)
    Passphrases(backend, read_header(backend).signers, randomness=os.urandom, clock=SystemClock()).add("new", "main", key)
    assert [each.label for each in client.keys.passphrases.list("home:")] == ["main", "main"]
    newcomer.keys.recovery.connect(str(vault), lambda: "old")
    newcomer.keys.recovery.connect(str(vault), lambda: "new")
    client.keys.passphrases.change("home:", lambda: "newest")
    assert [each.label for each in client.keys.passphrases.list("home:")] == ["main"]
    with pytest.raises(WrongPassphraseError):
        newcomer.keys.recovery.connect(str(vault), lambda: "old")
    with pytest.raises(WrongPassphraseError):
        newcomer.keys.recovery.connect(str(vault), lambda: "new")


def test_a_passphrase_that_was_never_typed(client: Client) -> None:
    """Killed at the prompt, nothing is changed."""
    before = client.workspace.file.path.read_bytes()
    with pytest.raises(Stopped):
        client.keys.passphrases.add("home:", stop)
    assert client.workspace.file.path.read_bytes() == before
    assert client.keys.passphrases.list("home:") == []


def test_nothing_new_is_not_even_looked_at(client: Client, told: list[str], tmp_path: Path) -> None:
    """Where the envelope holds all that the configuration does, nobody looks for it, not even for the vault."""
    client.keys.passphrases.add("home:", lambda: "several words drawn")
    [identity] = client.workspace.file.read().grids
    client.workspace.folders.vault.rename(tmp_path / "away")
    UserEnvelopes(client.workspace, told.append).refresh(identity)
    assert told == []


@pytest.mark.slow
def test_a_store_that_fails_is_told_and_tried_again(client: Client, newcomer: Client, told: list[str], tmp_path: Path) -> None:
    """An alias whose envelope could not be reached is made, that is told, and the next backup brings it in."""
    client.keys.passphrases.add("home:", lambda: "several words drawn")
    vault = client.workspace.folders.vault
    (vault / "envelopes").rename(tmp_path / "away")
    (vault / "envelopes").write_text("in the way")
    client.aliases.create("later")
    assert len(told) == 1
    assert "could not be added to the vault's passphrases" in told[0]
    (vault / "envelopes").unlink()
    (tmp_path / "away").rename(vault / "envelopes")
    assert [each.alias for each in newcomer.keys.recovery.connect(str(vault), lambda: "several words drawn")] == ["home"]
    [identity] = client.workspace.file.read().grids
    UserEnvelopes(client.workspace, told.append).refresh(identity)
    assert [each.alias for each in newcomer.keys.recovery.connect(str(vault), lambda: "several words drawn")] == ["home", "later"]
    assert len(told) == 1


@pytest.mark.slow
def test_a_stronger_key_stays(client: Client, newcomer: Client) -> None:
    """A machine that knew a vault by its locator key gets the writer key by passphrase, and keeps it."""
    client.keys.passphrases.add("home:", lambda: "several words drawn")
    configuration = client.workspace.file.read()
    [(identity, known)] = configuration.grids.items()
    locator = client.keys.locator_key("home").danger_whole_text()
    with newcomer.workspace.file.updating() as new:
        new.grids[identity] = KnownGrid(known.location, locator)
    newcomer.keys.recovery.connect(str(client.workspace.folders.vault), lambda: "several words drawn")
    assert newcomer.workspace.file.read().grids[identity].vault_key == known.vault_key


@pytest.mark.parametrize("name", ["a b", "", "-x", "URI", "x" * 101])
def test_names_from_elsewhere_are_checked(client: Client, name: str) -> None:
    """An envelope or a kit can't bring a name that could not be made here."""
    cap = client.files.write_cap("home:").danger_whole_text()
    configuration = Configuration(grids={"i" * 32: KnownGrid("file:///v", WriterKey(bytes(32)).danger_whole_text())})
    entering = AliasImport(configuration, client.workspace.sealed, "i" * 32)
    with pytest.raises(AliasError):
        entering.add_aliases([(name, cap)])
    with pytest.raises(AliasError, match="not name a directory"):
        entering.add_aliases([("home", "URI:LIT:me")])
    assert configuration.aliases == {}


def test_numbered_names(client: Client) -> None:
    """Names that are taken get the next number; a cap that has a name already gets no other."""
    one, two = (f"URI:DIR2:{letter * 26}:{letter * 52}" for letter in "aq")
    identity, elsewhere = "i" * 32, "e" * 32
    configuration = Configuration(
        grids={identity: KnownGrid("file:///v", WriterKey(bytes(32)).danger_whole_text())},
        aliases={"home": Alias(elsewhere, one), "home-2": Alias(elsewhere, two)},
    )
    entering = AliasImport(configuration, client.workspace.sealed, identity)
    found = entering.add_aliases([("home", one), ("home", two)])
    assert [(each.name, each.alias) for each in found] == [("home", "home-3"), ("home", "home-4")]
    again = entering.add_aliases([("home", one), ("home-3", one)])
    assert [(each.alias, each.is_new) for each in again] == [("home-3", False), ("home-3", False)]


@pytest.mark.slow
def test_a_short_passphrase_is_told(client: Client, told: list[str]) -> None:
    """A passphrase that is quickly guessed is set, since it is wanted, with a word on it."""
    client.keys.passphrases.add("home:", lambda: "several words drawn", "long")
    assert told == []
    client.keys.passphrases.add("home:", lambda: "tiger", "short")
    assert len(told) == 1
    assert "short" in told[0]
    assert "tiger" not in told[0]
