"""Completion, by pressing the tab key in real shells."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.cli.completion.shells import SCRIPTS, TypedWord, answer, quote_for_bash, split_line
from tallac.cli.group import group
from tallac.cli.table import COMMANDS

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow

# Stands for the command: it completes, and otherwise writes down the words that it is started with.
RECORDER = """#!/bin/sh
if [ -n "$_TALLAC_COMPLETE" ]; then exec {python} -m tallac "$@"; fi
printf '%s\\n' "$@" > "$TYPED.new"
mv "$TYPED.new" "$TYPED"
"""
SHELLS = {
    "bash": (("bash", "--noprofile", "--norc", "-i"), "PS1='READY> '\n"),
    "zsh": (("zsh", "-f", "-i"), "autoload -U compinit; compinit -u -D; PROMPT='READY> '\n"),
    "fish": (("fish", "--no-config", "-i"), "function fish_prompt; echo 'READY> '; end\n"),
}


class Shell:
    """A shell on a terminal of its own, with completion loaded."""

    def __init__(self, name: str, tallac: Tallac, folder: Path) -> None:
        command, setup = SHELLS[name]
        programs = folder / "programs"
        programs.mkdir()
        (programs / "tallac").write_text(RECORDER.format(python=sys.executable))
        (programs / "tallac").chmod(0o755)
        (folder / "script").write_text(SCRIPTS[name])
        self.typed = folder / "typed"
        self._terminal, end = pty.openpty()
        self._shell = subprocess.Popen(
            # fish does without no controlling terminal.
            ["setsid", "--ctty", *command],
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=folder,
            env=tallac.environment
            | {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "HOME": str(folder),
                "TERM": "dumb",
                "TYPED": str(self.typed),
                "LC_ALL": "C.UTF-8",
            },
        )
        os.close(end)
        self.shown = b""
        try:
            self._write(setup + f". {folder}/script\necho RE''LOADED\n")
            self._wait_until(lambda: b"RELOADED" in self.shown, "the shell does not start")
        except BaseException:
            self.close()
            raise

    def words(self, keys: str) -> list[str]:
        """Type these keys and the return key; give the words that the command gets."""
        self.typed.unlink(missing_ok=True)
        self._write(keys + "\r")
        self._wait_until(self.typed.exists, f"{keys!r} did not run anything")
        return self.typed.read_text().splitlines()

    def close(self) -> None:
        """End the shell."""
        self._shell.kill()
        self._shell.wait()
        os.close(self._terminal)

    def _write(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def _wait_until(self, is_reached: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_reached():
            assert time.monotonic() < deadline, (otherwise, self.shown)
            if select.select([self._terminal], [], [], 0.05)[0]:
                self.shown += os.read(self._terminal, 65536)


@pytest.fixture(scope="module")
def stocked(make_tallac: Callable[[Path], Tallac], tmp_path_factory: pytest.TempPathFactory) -> Tallac:
    """Give a command with an alias and a target whose snapshot has names that shells find hard."""
    folder = tmp_path_factory.mktemp("stocked")
    tallac = make_tallac(folder / "home")
    (folder / "source" / "My Letters").mkdir(parents=True)
    (folder / "source" / "My Letters" / "it's $5.txt").write_text("five")
    (folder / "source" / "notes:of today").write_text("today")
    tallac("-q", "create-alias", "house", "--vault", folder / "vault")
    tallac("-q", "backup", folder / "source", "house:docs")
    return tallac


@pytest.fixture(scope="module", params=list(SHELLS))
def shell(request: pytest.FixtureRequest, stocked: Tallac, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Give a real shell with completion loaded."""
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here")
    folder = tmp_path_factory.mktemp(name)
    (folder / "local folder").mkdir()
    (folder / "local folder" / "file.txt").touch()
    shell = Shell(name, stocked, folder)
    yield shell
    shell.close()


def snapshot_of(tallac: Tallac) -> str:
    """Give the name of the only snapshot."""
    [name] = tallac("ls", "house:docs/Archives").lines
    return name.decode()


@pytest.mark.slow
def test_commands_and_options(shell: Shell) -> None:
    """The tab key completes commands and their options."""
    assert shell.words("tallac snaps\t--js\t") == ["snapshots", "--json"]
    assert shell.words("tallac -q restor\tx") == ["-q", "restore", "x"]


@pytest.mark.slow
def test_aliases_and_remote_paths(shell: Shell, stocked: Tallac) -> None:
    """The tab key completes an alias, a directory in it, and one after a name with colons."""
    assert shell.words("tallac ls hou\t") == ["ls", "house:"]
    assert shell.words("tallac ls house:do\tLat\t") == ["ls", "house:docs/Latest/"]
    name = snapshot_of(stocked)
    assert shell.words("tallac get house:docs/Arch\t2\tMy\t") == ["get", f"house:docs/Archives/{name}/My Letters/"]


@pytest.mark.slow
def test_names_that_need_quotes(shell: Shell) -> None:
    """A name with spaces, quotation marks, dollar signs or colons arrives as it is."""
    assert shell.words("tallac get house:docs/Latest/My\tit\t") == ["get", "house:docs/Latest/My Letters/it's $5.txt"]
    assert shell.words("tallac get house:docs/Latest/no\t") == ["get", "house:docs/Latest/notes:of today"]
    assert shell.words("tallac get 'house:docs/Latest/notes:o\t") == ["get", "house:docs/Latest/notes:of today"]


def test_names_of_snapshots(shell: Shell, stocked: Tallac) -> None:
    """The tab key completes the names of a target's snapshots."""
    assert shell.words("tallac hold house:docs 2\t") == ["hold", "house:docs", snapshot_of(stocked)]
    assert shell.words("tallac tag house:docs La\t--add x") == ["tag", "house:docs", "Latest", "--add", "x"]


@pytest.mark.slow
def test_local_paths(shell: Shell) -> None:
    """The tab key completes local paths, also where either kind may stand, and after an option."""
    assert shell.words("tallac backup loc\t") == ["backup", "local folder/"]
    assert shell.words("tallac cp loc\tfi\thou\t") == ["cp", "local folder/file.txt", "house:"]
    home = shell.typed.parent
    assert shell.words("tallac backup ~/loc\t") == ["backup", f"{home}/local folder/"]
    assert shell.words("tallac ls --vault loc\t") == ["ls", "--vault", "local folder/"]
    assert shell.words("tallac ls --vault=loc\t") == ["ls", "--vault=local folder/"]


def test_what_can_not_be_completed(shell: Shell, stocked: Tallac) -> None:
    """Where nothing fits, nothing is said and nothing is made."""
    before = len(shell.shown)
    assert shell.words("tallac ls nowhere:x\t") == ["ls", "nowhere:x"]
    assert shell.words("tallac ls x/y\t") == ["ls", "x/y"]
    assert b"no alias" not in shell.shown[before:]
    assert not stocked.vault.exists()


def ask(tallac: Tallac, line: str, instruction: str = "zsh_complete") -> subprocess.CompletedProcess[bytes]:
    """Ask the real command as a script does."""
    return subprocess.run(
        [sys.executable, "-m", "tallac"],
        env=tallac.environment | {"_TALLAC_COMPLETE": instruction, "COMP_LINE": line},
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_moments(stocked: Tallac) -> None:
    """After an `@` stand `latest` and the names of the target's snapshots, in each command that takes a path; else nothing."""
    name = snapshot_of(stocked)
    for line in ("tallac ls house:docs@", "tallac restore house:docs@", "tallac diff house:docs@", "tallac hold house:docs@"):
        assert ask(stocked, line).stdout.decode().splitlines() == ["done\thouse:docs@latest\t", f"done\thouse:docs@{name}\t"]
    assert ask(stocked, "tallac ls house:docs@lat").stdout == b"done\thouse:docs@latest\t\n"
    assert ask(stocked, "tallac ls house:docs/Latest/My@").stdout == b""


@pytest.mark.parametrize("line", ["tallac ls ", "tallac ls x:", "tallac hold x: ", "tallac get @nowhere:", "tallac get URI:x/", ""])
def test_a_first_tab(tallac: Tallac, line: str) -> None:
    """Before anything was backed up, completion finds nothing, makes nothing and is quiet."""
    answered = ask(tallac, line)
    assert answered.stderr == b""
    assert b"Traceback" not in answered.stdout
    assert not tallac.home.exists()


def test_a_damaged_configuration(tallac: Tallac) -> None:
    """A configuration that can't be read is no reason to write into the line that is being typed."""
    (tallac.home / "config").mkdir(parents=True)
    (tallac.home / "config" / "tallac.json").write_text("{")
    answered = ask(tallac, "tallac ls x")
    assert (answered.stdout, answered.stderr) == (b"", b"")


def test_no_secret_is_asked_for(stocked: Tallac) -> None:
    """Completion does not read a cap from standard input, and does not wait for one."""
    for line in ("tallac ls @-:", "tallac ls --vault-key - ho"):
        answered = ask(stocked, line)
        assert answered.stderr == b""


def test_the_script_is_printed(tallac: Tallac) -> None:
    """`tallac completion` prints the script, and nothing else."""
    for name, script in SCRIPTS.items():
        assert tallac("completion", name).out.decode() == script
    assert "Usage" in tallac("completion", "csh", status=2).err


@pytest.mark.parametrize("name", list(SHELLS))
def test_the_scripts_are_right(name: str, tmp_path: Path) -> None:
    """The shells themselves find no error in the scripts."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name} here")
    (tmp_path / "script").write_text(SCRIPTS[name])
    subprocess.run([name, "-n", tmp_path / "script"], check=True)


def test_every_command_is_offered() -> None:
    """All commands begin with nothing."""
    found = answer(group, "fish_complete", {"COMP_LINE": "tallac "})
    assert [line.split("\t")[1] for line in found.splitlines()][: len(COMMANDS)] == list(COMMANDS)


@pytest.mark.parametrize(
    ("line", "words", "typed"),
    [
        ("tallac ls", ["tallac"], TypedWord("ls")),
        ("tallac ls ", ["tallac", "ls"], TypedWord("")),
        ("tallac home:a/b", ["tallac"], TypedWord("home:a/b", "", 5)),
        (r"tallac home\:a\ b", ["tallac"], TypedWord("home:a b", "", 0)),
        ('tallac "home:a b', ["tallac"], TypedWord("home:a b", '"', 0)),
        ("tallac home:'a b", ["tallac"], TypedWord("home:a b", "'", 5)),
        ("tallac 'a b' c", ["tallac", "a b"], TypedWord("c")),
        ("tallac '' c", ["tallac", ""], TypedWord("c")),
        (r'tallac "a\"b\c', ["tallac"], TypedWord(r'a"b\c', '"', 0)),
    ],
)
def test_words_of_a_line(line: str, words: list[str], typed: TypedWord) -> None:
    """A line is split as shells split it, and where bash thinks that a word begins is known."""
    assert split_line(line, ":=") == (words, typed)


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_quoting(quote: str, tmp_path: Path) -> None:
    """What is quoted for bash is what bash then takes it for."""
    text = r"""a b'c"d$e\f`g!h&i(j)k;l*m?n[o]p{q}r|s<t>u#v^w:x=y~z"""
    script = f"printf %s {quote}{quote_for_bash(text, quote)}{quote}"
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout.decode() == text
