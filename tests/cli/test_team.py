"""A vault that two users of one machine share by a group."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from tests.command import COMMAND, Tallac

from tallac.backends.local import LocalBackend

GROUP, ANN, BOB = 64001, 64002, 64003
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become other users")]


def member(home: Path, user: int) -> Tallac:
    """Give a user of the group, with umask 002, and no rights but these and to read the program."""
    home.mkdir(exist_ok=True)
    os.chown(home, user, user)
    rights = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search"]
    before = [
        "setpriv",
        f"--reuid={user}",
        f"--regid={user}",
        f"--groups={GROUP}",
        *rights,
        "--",
        "sh",
        "-c",
        'umask 002; exec "$@"',
    ]
    return Tallac(home, before=[*before, "-"])


def modes(vault: Path) -> set[tuple[str, int, int]]:
    """Give kind, mode and group of all in the vault."""
    found = {(path, path.stat()) for path in vault.rglob("*")}
    return {("d" if path.is_dir() else "f", stat.S_IMODE(status.st_mode), status.st_gid) for path, status in found}


def test_two_users_back_up_to_one_vault(tmp_path: Path) -> None:
    """Both back up, forget, prune and check in turn; what each makes is the group's, and nobody else's."""
    for folder in [tmp_path, *tmp_path.parents[:-2]]:
        folder.chmod(folder.stat().st_mode | 0o011)
    vault = tmp_path / "vault"
    vault.mkdir()
    os.chown(vault, ANN, GROUP)
    vault.chmod(0o2770)
    ann, bob = member(tmp_path / "ann", ANN), member(tmp_path / "bob", BOB)
    for user, words in ((ann, "ann"), (bob, "bob")):
        (user.home / "docs").mkdir()
        (user.home / "docs" / "file").write_text(words * 100_000)
    ann("create-alias", "team", "--vault", vault)
    kit = ann("recovery-kit", "team:").out
    bob("connect", "--recovery-kit", "-", stdin=kit)
    for _ in range(2):
        for user, name in ((ann, "ann"), (bob, "bob")):
            (user.home / "docs" / "more").write_bytes(os.urandom(1000))
            user("-q", "backup", user.home / "docs", f"team:{name}")
            user("-q", "forget", f"team:{name}", "--keep-last", "1")
            user("prune", "team:", "--max-unused", "0")
            user("check", "--read-data", "team:")
    bob("restore", "team:ann/Latest", bob.home / "restored")
    assert modes(vault) == {("d", 0o2770, GROUP), ("f", 0o660, GROUP)}


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750, 0o777 & ~0o020])
def test_nothing_else_gets_looser(tmp_path: Path, mode: int) -> None:
    """Where the group may not write in the vault's folder, files and folders stay the user's alone."""
    folder = tmp_path / "vault"
    folder.mkdir()
    os.chown(folder, -1, GROUP)
    folder.chmod(mode)
    old = os.umask(0)
    try:
        LocalBackend(folder).put("packs/a", b"x")
    finally:
        os.umask(old)
    assert {(kind, mode) for kind, mode, _ in modes(folder)} == {("d", 0o700), ("f", 0o600)}


def test_a_vault_made_in_a_loose_folder_is_private(tmp_path: Path) -> None:
    """The vault's own folder takes nothing from the one that it is made in."""
    tmp_path.chmod(0o2777)
    backend = LocalBackend(tmp_path / "vault")
    backend.create()
    backend.put("slots/a", b"x")
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) & 0o777 == 0o700
    assert {(kind, mode & 0o777) for kind, mode, _ in modes(tmp_path / "vault")} == {("d", 0o700), ("f", 0o600)}


def test_a_stranger_keeps_files_private(tmp_path: Path) -> None:
    """Who can't give files to the folder's group makes them private, not some other group's."""
    folder = tmp_path / "vault"
    folder.mkdir()
    os.chown(folder, ANN, GROUP)
    folder.chmod(0o777)
    for above in [tmp_path, *tmp_path.parents[:-2]]:
        above.chmod(above.stat().st_mode | 0o011)
    script = "import pathlib, sys, tallac.backends.local as l; l.LocalBackend(pathlib.Path(sys.argv[1])).put('slots/a', b'x')"
    stranger = member(tmp_path / "bob", BOB)
    before = [word.replace(f"--groups={GROUP}", "--clear-groups") for word in stranger.before]
    subprocess.check_call([*before, COMMAND[0], "-c", script, folder], env=stranger.environment)
    assert {(kind, mode) for kind, mode, _ in modes(folder)} == {("d", 0o700), ("f", 0o600)}
