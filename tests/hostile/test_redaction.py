"""Caps and keys where other people get to see them: in mail from cron, in logs, over a shoulder (finding 14 of the review).

Whoever reads a user's output is the attacker. Each secret is put in place of each argument of each command.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import click
import pytest
from hypothesis import given, strategies as st
from tests.command import Result, Tallac
from tests.in_memory import folder_in_memory

from tallac.caps import LiteralFile, MutableDirectoryWrite, parse
from tallac.caps.redaction import redact
from tallac.cli.group import group
from tallac.cli.table import COMMANDS

WRITE_CAP = MutableDirectoryWrite(bytes(range(16)), bytes(range(32)))
CAP = WRITE_CAP.danger_whole_text()
LITERAL = LiteralFile(b"the combination is 7-22-9").danger_whole_text()
KEY = "tallac-writer-2:" + "abcdefghijklmnopqrstuvwxyz234567" * 2
# In place of an argument they run for as long as nobody stops them, or ask for a window.
NEVER_ENDING = {"serve", "webopen"}
ASKED_FOR = {"cap", "find", "manifest", "locator-key", "keeper-key", "recovery-kit", "put", "completion", "man"}
"""Commands whose results are caps, keys or names of what these tests stored, or have nothing to do with what they are given."""


def pieces(text: str) -> set[str]:
    """Return all pieces of a secret that are long enough to help somebody."""
    secret = re.sub("[^a-z2-7]", " ", text.partition(":")[2]).split()
    return {word[place : place + 10] for word in secret for place in range(max(1, len(word) - 9)) if len(word) >= 10}


SECRETS = pieces(CAP) | pieces(LITERAL) | pieces(KEY)
FORMS = {
    "a write cap": CAP,
    "with a path": f"{CAP}/docs/../x",
    "with a path as Tahoe-LAFS has it": f"{CAP}:./docs",
    "with a prefix": f"ro.{CAP}",
    "of an unknown prefix": f"imm.{CAP}",
    "with a typing error": CAP[:-9] + "1" + CAP[-8:],
    "cut off": CAP[:-20],
    "without its end": CAP.rpartition(":")[0],
    "in capitals": CAP.upper(),
    "in small letters": CAP.lower(),
    "as URLs have it": quote(CAP, safe=""),
    "twice so": quote(quote(CAP, safe=""), safe=""),
    "in a URL": f"http://127.0.0.1:3456/uri/{quote(CAP, safe='')}/docs?t=json",
    "broken over lines": CAP[:40] + "\n" + CAP[40:],
    "in quotation marks": repr(CAP),
    "in bytes": repr(CAP.encode()),
    "as a vault's location": f"tahoe+http://127.0.0.1:3456/uri/{CAP}",
    "of an unknown kind": CAP.replace("DIR2", "FUTURE-9"),
    "a literal": LITERAL,
    "a literal with a path": f"{LITERAL}/x",
    "a key": KEY,
    "a key broken over lines": KEY[:50] + "\n" + KEY[50:],
    "a key of another version": KEY.replace("-1:", "-2:"),
    "a cut key": KEY[:60],
}
AROUND = ["{}", "x{}", "{}.", "'{}': no such file", 'File "{}", line 1', "<{}>", "{0} {0}", "a={},b={}", "é{}é"]
CAPITALS = {piece.upper() for piece in SECRETS}


def leaked(text: str) -> set[str]:
    """Return what a text says of the secrets."""
    return {piece for piece in SECRETS | CAPITALS if piece in text}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("around", AROUND)
def test_nothing_of_a_secret_is_left(form: str, around: str) -> None:
    """Whatever stands around it, and however it was written, the secret goes and the rest stays."""
    text = around.format(FORMS[form], FORMS[form])
    assert leaked(text)
    assert not leaked(redact(text))
    assert redact(redact(text)) == redact(text)


def test_a_fingerprint_is_left() -> None:
    """In place of a cap stands what tells it from others, the same that is shown where a cap is known to be one."""
    assert redact(f"at {CAP}/docs: gone") == f"at {WRITE_CAP}/docs: gone"
    assert redact(quote(CAP, safe="")) == str(WRITE_CAP)
    assert redact(LITERAL) == str(parse(LITERAL))
    assert redact(f"({KEY})") == "(tallac-writer-2:...)"
    assert redact("https://ann:pass@host/x and sftp://bob@host") == "https://ann:...@host/x and sftp://bob@host"


@pytest.mark.parametrize(
    "text",
    [
        "A cap may stand in place of an alias, as in URI:DIR2-RO:.../PATH",
        "not a vault key: it begins with tallac-writer-2:, tallac-keeper-2: or tallac-locator-2:",
        "home:docs/Latest: no such entry",
        "http://127.0.0.1:3456/",
        "file:///home/ann/vault",
        "curi:osity:",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Help texts, URLs and paths are left alone."""
    assert redact(text) == text


@given(st.text(), st.sampled_from(sorted(FORMS)), st.text(alphabet=" '\"\\/\n,.;()[]{}<>é", min_size=1))
def test_any_text_around_a_secret(before: str, form: str, after: str) -> None:
    """No text before or behind a secret brings it through."""
    assert not leaked(redact(before + FORMS[form] + after))


# The command, with a secret in each place where a user can put a word.


@dataclass(frozen=True)
class Debugged(Tallac):
    """A command that tells where an error came from."""

    @property
    def environment(self) -> dict[str, str]:
        """The usual, and the variable."""
        return super().environment | {"TALLAC_DEBUG": "1"}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Give a home with a vault, a snapshot and a write cap that is known nowhere else; thousands of commands wait for no disk."""
    with folder_in_memory() as home:
        tallac = Tallac(home)
        (home / "source").mkdir()
        (home / "source" / "file").write_text("content" * 100)
        tallac("-q", "backup", home / "source", "tallac:docs")
        yield home


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder of the test's own: where a file is wanted, a secret is a file's name."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def cap(home: Path) -> str:
    """Return the write cap of a directory with a snapshot."""
    return Tallac(home)("cap", "--write", "tallac:docs").out.decode().strip()


def positions() -> Iterator[tuple[str, str]]:
    """Name each argument and each option with a value of each command."""
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Argument):
                yield name, f"argument {parameter.name}"
            elif isinstance(parameter, click.Option) and not parameter.is_flag and not parameter.count:
                yield name, parameter.opts[-1]
        yield name, "an option that there is not"


def line(command: str, position: str, secret: str, home: Path) -> list[str]:
    """Write a command line with a secret in one place, and something plausible in the others."""
    found = group.get_command(click.Context(group), command)
    assert found is not None
    words: list[str] = []
    for parameter in found.params:
        if isinstance(parameter, click.Argument) and (parameter.required or position == f"argument {parameter.name}"):
            other = "tallac:docs/Latest" if "ALIAS" in (parameter.metavar or "") else str(home / "nothing")
            words.append(secret if position == f"argument {parameter.name}" else other)
    if position.startswith("-"):
        words += [position, secret]
    elif position.startswith("an option"):
        words.append(f"--{secret}")
    return [command, *words]


def said(tallac: Tallac, words: list[str]) -> Result:
    """Run a command, whatever becomes of it; one that would go on for ever is stopped."""
    if words[0] not in NEVER_ENDING:
        return tallac(*words, status=None)
    process = tallac.start(*words)
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.terminate()
    out, err = process.communicate()
    return Result(process.returncode, out, err.decode("utf-8", "surrogateescape"))


@pytest.mark.slow
@pytest.mark.parametrize(("command", "position"), list(positions()))
def test_no_command_repeats_a_secret(home: Path, tmp_path: Path, cap: str, command: str, position: str) -> None:
    """A cap or key in any place of any command line comes up neither in results nor in errors, nor in the trace of one."""
    # A command may do what it was asked to: `key-source` moves the vault's key into the file of that name.
    own = tmp_path / "home"
    shutil.copytree(home / "config", own / "config")
    tallac, debugged = Tallac(own), Debugged(own)
    secrets = {cap, f"{cap}/Latest", f"{CAP}/x", KEY} if command not in NEVER_ENDING else {CAP}
    for number, secret in enumerate(sorted(secrets)):
        runner = debugged if number % 2 else tallac
        words = line(command, position, secret, home)
        if number == 0 and command not in NEVER_ENDING:
            words.append("--json")
        result = said(runner, words)
        for text in (result.err, "" if command in ASKED_FOR else result.out.decode("utf-8", "replace")):
            assert not [piece for piece in pieces(secret) if piece in text or piece.upper() in text], (words, result)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["", CAP, f"--{CAP}", f"--{KEY}=x", KEY])
def test_no_mistake_before_a_command_repeats_a_secret(home: Path, command: str) -> None:
    """A secret in place of a command, or of an option before it."""
    result = Tallac(home)(command, CAP, status=2)
    assert not leaked(result.err + result.out.decode())


@pytest.mark.slow
def test_a_backup_by_a_cap_names_a_fingerprint(home: Path, cap: str) -> None:
    """The finding itself: cron mails this line, and a program keeps that one."""
    tallac = Tallac(home)
    fingerprint = str(parse(cap))
    shown = tallac("backup", home / "source", f"{cap}:../docs", status=None)
    assert not [piece for piece in pieces(cap) if piece in shown.err + shown.out.decode()]
    shown = tallac("backup", home / "source", cap)
    assert fingerprint in shown.out.decode()
    target = json.loads(tallac("--json", "backup", home / "source", cap).lines[-1])["target"]
    assert target.startswith(fingerprint)


@pytest.mark.slow
def test_what_is_asked_for_is_given_whole(home: Path, cap: str) -> None:
    """Commands for caps and keys still print them, also as JSON."""
    tallac = Tallac(home)
    assert isinstance(parse(cap), MutableDirectoryWrite)
    assert json.loads(tallac("--json", "cap", "--write", "tallac:docs").out)["cap"] == cap
    assert tallac("locator-key", "tallac:").out.startswith(b"tallac-locator-")
    assert b"URI:" in tallac("manifest", "tallac:docs").out
    assert b"URI:" in tallac("put", home / "source" / "file").out
    assert b"tallac-writer-" in tallac("recovery-kit", "tallac:").out


@pytest.mark.slow
def test_names_in_listings_stay_as_they_are(home: Path, tmp_path: Path) -> None:
    """A file whose name looks like a cap is listed under its name, since programs go by that."""
    tallac = Tallac(home)
    name = quote(CAP, safe="")
    (tmp_path / "named").mkdir()
    (tmp_path / "named" / name).write_text("x")
    tallac("-q", "backup", tmp_path / "named", "tallac:named")
    assert tallac("ls", "tallac:named/Latest").out.decode().strip() == name
    assert json.loads(tallac("--json", "ls", "tallac:named/Latest").out)["name"] == name
    assert os.fsdecode(tallac("find", "tallac:named", "URI*").lines[0]).strip().endswith(name)
