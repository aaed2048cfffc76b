"""Manual pages, in the man macros that groff, mandoc and `man` read, made of what `--help` shows."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

import click

from tallac import __version__
from tallac.cli.command import TallacCommand
from tallac.cli.group import EXAMPLES, HELP_OPTION_NAMES, CommandGroup
from tallac.cli.table import COMMANDS, SYNONYMS, commands_by_heading

LINE_LENGTH_MAX = 78

EXIT_STATUSES = {
    0: "Done.",
    1: "Failed: no snapshot was made, or something is damaged or missing. Earlier snapshots are as they were.",
    2: "Wrong usage; nothing was done.",
    3: "A snapshot was made but is incomplete: something could not be read.",
    129: "Its terminal was closed. The next run goes on from what is stored.",
    130: "Interrupted. The next run goes on from what is stored.",
    143: "Terminated. The next run goes on from what is stored.",
}
ENVIRONMENT = {
    "TALLAC_HOME": "The folder for configuration, state and the default vault, in place of the platform's own.",
    "TALLAC_DEBUG": "If it is set, an error comes with the place in the program where it arose.",
    "NO_COLOR": "If it is set, nothing is coloured. Whatever is no terminal gets no colours anyway.",
}


def page_names() -> list[str]:
    """Name all pages, as `man` is asked for them."""
    return ["tallac", *(f"tallac-{name}" for name in COMMANDS)]


def page(group: CommandGroup, name: str) -> str:
    """Write the page of a name that `page_names` gives."""
    if name == "tallac":
        return "".join(_group_page(group))
    command = group.get_command(click.Context(group), name.removeprefix("tallac-"))
    assert isinstance(command, TallacCommand), name
    return "".join(_command_page(command))


def _group_page(group: CommandGroup) -> Iterator[str]:
    context = click.Context(group, info_name="tallac")
    yield from _head("tallac", "versioned, encrypted backups")
    yield from _synopsis(context)
    yield from _description(group.help)
    for heading, commands in commands_by_heading().items():
        yield f".SH {_heading(heading)}\n"
        for name in commands:
            yield from _row(f"tallac\\-{_escape(name)}(1)", COMMANDS[name][1])
    yield from _options(context)
    yield from _examples(EXAMPLES)
    yield from _tail(())


def _command_page(command: TallacCommand) -> Iterator[str]:
    name = command.name or ""
    context = click.Context(command, info_name=f"tallac {name}")
    yield from _head(f"tallac-{name}", COMMANDS[name][1].rstrip("."))
    yield from _synopsis(context)
    yield from _description(command.help)
    yield from (f".PP\nAlso written {_bold(f'tallac {other}')}.\n" for other, same in SYNONYMS.items() if same == name)
    yield from _options(context)
    yield from _examples(command.examples)
    yield from _tail(("tallac",))


def _head(name: str, summary: str) -> Iterator[str]:
    # No date, so that the same version always makes the same page.
    yield f'.TH {_escape(name.upper())} 1 "" "tallac {__version__}" "Tallac"\n'
    yield f".SH NAME\n{_escape(name)} \\- {_escape(summary[:1].lower() + summary[1:])}\n"


def _synopsis(context: click.Context) -> Iterator[str]:
    chunks = " ".join(context.command.collect_usage_pieces(context))
    yield f".SH SYNOPSIS\n{_bold(context.info_name or '')} {_escape(chunks)}\n"


def _description(text: str | None) -> Iterator[str]:
    paragraphs = map(_running_text, inspect.cleandoc(text or "").split("\n\n"))
    yield ".SH DESCRIPTION\n" + "\n.PP\n".join(paragraphs) + "\n"


def _options(context: click.Context) -> Iterator[str]:
    yield ".SH OPTIONS\n"
    for parameter in context.command.params:
        record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
        if record is not None:
            yield from _row(_bold(record[0]), record[1])
    # click makes this one itself, and keeps the names under which it was first asked for.
    yield from _row(_bold(", ".join(HELP_OPTION_NAMES)), "Show help and exit.")


def _examples(examples: tuple[str, ...]) -> Iterator[str]:
    yield ".SH EXAMPLES\n.nf\n"
    yield from (f"{_line(example)}\n" for example in examples)
    yield ".fi\n"


def _tail(see_also: tuple[str, ...]) -> Iterator[str]:
    yield '.SH "EXIT STATUS"\n'
    for status, meaning in EXIT_STATUSES.items():
        yield from _row(_bold(str(status)), meaning)
    yield ".SH ENVIRONMENT\n"
    for variable, meaning in ENVIRONMENT.items():
        yield from _row(_bold(variable), meaning)
    if see_also:
        yield '.SH "SEE ALSO"\n' + ", ".join(f"{_bold(name)}(1)" for name in see_also) + "\n"


def _row(term: str, text: str) -> Iterator[str]:
    yield f".TP\n{term}\n{_running_text(text)}\n"


def _running_text(text: str) -> str:
    """Write text whose lines may be filled anew, with what stands between backquotes in bold."""
    parts = re.split(r"`([^`]*)`", " ".join(text.split()))
    escaped = "".join(_bold(part) if number % 2 else _escape(part) for number, part in enumerate(parts))
    return "\n".join(map(_guard, textwrap.wrap(escaped, LINE_LENGTH_MAX, break_long_words=False, break_on_hyphens=False)))


def _heading(text: str) -> str:
    return f'"{_escape(text.upper())}"'


def _bold(text: str) -> str:
    return f"\\fB{_escape(text)}\\fR"


def _line(text: str) -> str:
    return _guard(_escape(text))


def _escape(text: str) -> str:
    """Escape a text for roff, so that it is shown as it is: a minus sign stays one that can be copied into a command line."""
    special = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
    return "".join(special.get(character, character) for character in text)


def _guard(line: str) -> str:
    """Keep a line from being taken for a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line
