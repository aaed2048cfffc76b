from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from tallac.cli.completion.shells import answer
from tallac.cli.group import group
from tallac.cli.options.global_options import Settings
from tallac.cli.options.option import Option
from tallac.cli.restic import ACCEPTED, EVERYWHERE, REFUSED
from tallac.cli.table import COMMANDS, ELSEWHERE, FORMER_NAMES, SYNONYMS, unknown_command

if TYPE_CHECKING:
    from tests.command import Tallac

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "from-restic.md"
FORMER_OPTIONS = [
    ("prune", "--fence-after", "--session-timeout"),
    ("repair", "--end-sessions", "--remove-stale-sessions"),
    ("restore", "--delete-even-home", "--allow-delete-home"),
    ("ls", "--grid", "--vault"),
]
RESTICS = [(command or "ls", theirs, ours) for command, options in ACCEPTED.items() for theirs, ours in options.items()]
REFUSALS = [(command or "ls", theirs, why) for command, options in REFUSED.items() for theirs, why in options.items()]


def find(name: str) -> click.Command:
    """Import a command."""
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command


def option_named(command: click.Command, name: str) -> Option:
    """Return one of a command's options by a name that is shown."""
    [option] = [each for each in command.params if isinstance(each, Option) and name in each.opts]
    return option


def parse(name: str, words: list[str]) -> tuple[dict[str, Any], Settings]:
    """Parse a command line without running it, and return what it says."""
    command = find(name)
    arguments = ["x" for each in command.params if isinstance(each, click.Argument) and each.required]
    required = [word for each in command.params if isinstance(each, Option) and each.required for word in (each.opts[0], "y")]
    context = command.make_context(name, [*words, *required, *arguments])
    return context.params, context.ensure_object(Settings)


@pytest.mark.parametrize(("name", "hidden", "shown"), [*RESTICS, *FORMER_OPTIONS], ids=lambda part: part.lstrip("-"))
def test_a_synonym_means_the_same(name: str, hidden: str, shown: str) -> None:
    """A former name, or restic's, is taken for the option, and appears neither in help nor in completion."""
    command = find(name)
    option = option_named(command, shown)
    value = [] if option.is_flag else ["1"]
    assert parse(name, [hidden, *value]) == parse(name, [shown, *value])
    assert parse(name, [shown, *value]) != parse(name, [])
    assert hidden in option.synonyms
    help_text = command.get_help(click.Context(command, info_name=name, terminal_width=200))
    assert not re.search(rf"(?<![\w|-]){hidden}(?![\w|-])", help_text)
    offered = answer(group, "fish_complete", {"COMP_LINE": f"tallac {name} {hidden}"}).split("\t")
    assert hidden not in offered


def test_all_synonyms_are_listed() -> None:
    """Each hidden synonym is a former name or is in the table of restic's."""
    listed = {(name, theirs) for name, theirs, _ in (*RESTICS, *FORMER_OPTIONS)} | {("backup", "--exclude-from-utf-8")}
    # They share their options with commands that restic has.
    unlisted = {(name, synonym) for name in ("history", "diff") for synonym in ("-H", "--path")}
    # As find(1) and xargs(1) have it.
    unlisted |= {(name, "--print0") for name in ("ls", "find", "diff")}
    for name in COMMANDS:
        own = [each for each in find(name).params if isinstance(each, Option) and each.expose_value]
        for option in own:
            for synonym in option.synonyms:
                assert (name, synonym) in listed or (name, synonym) in unlisted


@pytest.mark.parametrize(("name", "theirs", "why"), REFUSALS, ids=lambda part: str(part)[:24].lstrip("-"))
def test_what_has_no_counterpart(name: str, theirs: str, why: str) -> None:
    """Another option of restic's is refused, with what there is in its place."""
    with pytest.raises(click.NoSuchOption, match=re.escape(f"{theirs}; {why}")):
        parse(name, [theirs])


def test_the_guide_lists_what_is_accepted() -> None:
    """The page for those who come from restic has the same table."""
    section = GUIDE.read_text("utf-8").partition("## Names that are accepted too\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(-[^`]+)` \| (.+?) \| `(-[^`]+)` \|$", section, re.MULTILINE)
    listed = {(command, theirs, ours) for theirs, commands, ours in rows for command in re.findall(r"`([a-z-]+)`|(all)", commands)}
    shown = {(EVERYWHERE if both[1] else both[0], theirs, ours) for both, theirs, ours in listed}
    assert shown == {(command, theirs, ours) for command, options in ACCEPTED.items() for theirs, ours in options.items()}


def test_standard_input_as_restic_names_it(tallac: Tallac) -> None:
    """`--stdin` backs up standard input, under the name that restic gives it."""
    tallac("backup", "--stdin", "tallac:in", stdin=b"content")
    assert tallac("get", "tallac:in/Latest/stdin").out == b"content"


def test_restics_groups(tallac: Tallac, tmp_path: Path) -> None:
    """Paths are sources, and an empty text is no grouping."""
    (tmp_path / "source").mkdir()
    tallac("backup", tmp_path / "source")
    for theirs, ours in (("paths", "source"), ("host,paths,tags", "host,source,tags"), ("", "none")):
        assert tallac("snapshots", "-g", theirs).out == tallac("snapshots", "--group-by", ours).out


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_former_names_of_commands(tallac: Tallac, former: str, name: str) -> None:
    """They still work, and are shown nowhere."""
    assert tallac(former, "--help").out.replace(former.encode(), name.encode()) == tallac(name, "--help").out
    assert former.encode() not in tallac("--help").out
    assert former not in answer(group, "fish_complete", {"COMP_LINE": f"tallac {former[:3]}"})


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("list", "did you mean `tallac snapshots` or `tallac ls`?"),
        ("dump", "did you mean `tallac get` or `tallac restore`?"),
        ("mount", "did you mean `tallac ls`, `tallac restore` or `tallac serve`?"),
        ("snapshot", "did you mean `tallac backup` or `tallac snapshots`?"),
        ("bakcup", "did you mean `tallac backup`?"),
        ("frobnicate", "`tallac --help` lists them"),
    ],
)
def test_what_may_be_meant(tallac: Tallac, wrong: str, meant: str) -> None:
    """An unknown command is wrong usage, and the message suggests one."""
    result = tallac(wrong, status=2)
    assert result.error_lines[-1] == f"Error: {wrong}: no such command; {meant}"


def test_suggestions_exist() -> None:
    """What is suggested can be typed, and no command is among the unknown ones."""
    assert not ELSEWHERE.keys() & (COMMANDS.keys() | SYNONYMS.keys() | FORMER_NAMES.keys())
    for name, meant in ELSEWHERE.items():
        assert name in unknown_command(name)
        for each in meant:
            command, *options = each.split()
            if command in COMMANDS:
                known = {word for parameter in find(command).params for word in parameter.opts}
                assert set(options) <= known
            else:
                assert command in ("--help", "--version")
