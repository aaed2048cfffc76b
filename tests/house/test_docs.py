import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Give the anchors that a page's headings make, as GitHub writes them."""
    text = FENCE.sub("", page.read_text("utf-8"))
    anchors: set[str] = set()
    for heading in re.findall(r"^#+\s+(.*?)\s*$", text, flags=re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        copies = sum(1 for anchor in anchors if re.fullmatch(re.escape(plain) + r"(-\d+)?", anchor))
        anchors.add(f"{plain}-{copies}" if copies else plain)
    return anchors


def _broken(page: Path) -> Iterator[str]:
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        place = (page.parent / path) if path else page
        if not place.exists() or (anchor and anchor not in _anchors(place)):
            yield link


def _cli_group() -> click.Group:
    """Find the click group of which all commands hang."""
    cli = importlib.import_module("tallac.cli")
    modules = [cli, *(importlib.import_module(f"tallac.cli.{found.name}") for found in pkgutil.iter_modules(cli.__path__))]
    groups = [thing for module in modules for thing in vars(module).values() if isinstance(thing, click.Group)]
    assert groups, "tallac.cli has no click group"
    return max(groups, key=lambda group: len(group.list_commands(click.Context(group))))


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix}{name} ")


def _option_names(command: click.Command) -> list[str]:
    """Give the long name of each option that `--help` shows."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden]
    return [max(option.opts, key=len) for option in options]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file, and a heading in it, that exist."""
    assert list(_broken(page)) == []


def _sections() -> dict[str, str]:
    """Give the guide's text on each command; what stands before the first heading goes for all of them."""
    page = (ROOT / "docs" / "guide" / "commands.md").read_text("utf-8")
    preamble, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    texts = {}
    for section in sections:
        heading, _, text = section.partition("\n")
        for name in re.findall(r"`([^`]+)`", heading):
            texts[name] = preamble + text
    return texts


needs_command = pytest.mark.skipif(not (ROOT / "src/tallac/cli/__init__.py").exists(), reason="there is no command yet")


@needs_command
def test_every_command_is_described() -> None:
    """The guide has a section for every command, and none for a command that is gone."""
    assert set(_sections()) == {name for name, _ in _commands(_cli_group())}


@needs_command
def test_every_option_is_described() -> None:
    """The guide names every option of every command in that command's section, or among those that all have."""
    texts = _sections()
    missing = [
        f"{name} {option}"
        for name, command in _commands(_cli_group())
        for option in _option_names(command)
        if f"`{option}" not in texts[name]
    ]
    assert missing == []
