"""What the pages tell users to type can be typed: every command and every option in them exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from tallac.cli.group import group

ROOT = Path(__file__).parents[2]
# docs/format.md shows what stands in files, which may look like a command.
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "docs" / "format.md"})
OPERATORS = frozenset("|&;<>()")
PLACEHOLDERS = frozenset({"COMMAND", "..."})


def _blocks(text: str) -> Iterator[str]:
    """Give the lines of a page's indented code; a line that ends in a backslash goes on."""
    code = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    yield from "\n".join(code).replace("\\\n", " ").splitlines()


def _spans(text: str) -> Iterator[str]:
    """Give the code within a page's running text."""
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    yield from (" ".join(span.split()) for span in re.findall(r"`(tallac [^`]+)`", prose))


def _commands(line: str) -> Iterator[list[str]]:
    """Give the words after each `tallac` that a line of shell runs; two spaces end what is typed, as in a table."""
    lexer = shlex.shlex(re.split(r"\s{2,}", line.strip().removeprefix("$ "))[0], posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    part: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= OPERATORS:
            if part and part[0] == "tallac":
                yield part[1:]
            # What follows > is a file's name.
            part = [] if set(word).isdisjoint("<>") else [word]
        else:
            part.append(word)


def _find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """Give the command that a line names, after options and their values perhaps, and its words; the group where it names none."""
    context = click.Context(group, info_name="tallac")
    _, rest, _ = group.make_parser(context).parse_args(list(words))
    if not rest:
        return group, []
    command = group.get_command(context, rest[0])
    if command is None:
        raise click.UsageError(f"no command {rest[0]}")
    return command, rest


def _parse(words: list[str]) -> None:
    """Parse a command line without running it; raises what click says against it."""
    command, rest = _find_command(words)
    if command is group:
        return
    try:
        command.make_context(rest[0], rest[1:])
    except click.exceptions.Exit:
        return  # --help was asked for.


def _check_span(words: list[str]) -> None:
    """Check a command in running text, where arguments may be left away."""
    if PLACEHOLDERS & set(words):
        return
    command = _find_command(words)[0]
    known = {option for taker in (command, group) for parameter in taker.params for option in parameter.opts} | {"-h", "--help"}
    # What follows -- belongs to another command.
    own = words[: words.index("--")] if "--" in words else words
    unknown = [word for word in own if word.startswith("--") and word.partition("=")[0] not in known]
    if unknown:
        raise click.NoSuchOption(unknown[0])


def _check_line(line: str, check: Callable[[list[str]], None]) -> None:
    for words in _commands(line):
        check(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_the_pages_say_to_type(page: Path) -> None:
    """Each command in code parses, and each one in running text has a name and options that exist."""
    text = page.read_text("utf-8")
    wrong: list[str] = []
    for lines, check in ((_blocks(text), _parse), (_spans(text), _check_span)):
        for line in lines:
            if not re.search(r"(^|[|&;]\s*|\$ )tallac ", line):
                continue
            try:
                _check_line(line, check)
            except (click.UsageError, ValueError) as error:
                wrong.append(f"{line}: {error}")
    assert wrong == []


def test_the_test_can_fail() -> None:
    """A command or option that does not exist is found, wherever in a line it stands."""
    for line in ("tallac frobnicate home:", "date | tallac put - home:x --frob", "cd x && tallac ls --frob", "$ tallac --frob ls"):
        with pytest.raises(click.UsageError):
            _check_line(line, _parse)
    _check_line("tallac ls home:  --frob is for others", _parse)
    _check_line("tallac get home:a - > --frob", _parse)
    _check_line("tallac cap x # --frob", _parse)
    _check_line("cat tallac --frob", _parse)
