"""Candidates for shell completion: aliases, paths below them, names of snapshots, local paths.

Nothing here makes a vault, asks for anything, or says what went wrong: it answers in the middle of a line that is being typed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

import click

from tallac.cli.options.global_options import Settings
from tallac.errors import TallacError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from tallac.app.client import Client

CANDIDATES_MAX = 2000

Finder = Callable[[click.Context, str], Iterable[str]]

_WORD = re.compile(r"[A-Z]+(?::[A-Z]*)?")
_LOCAL_WORDS = frozenset({"FROM", "FOLDER", "FILE", "LOCATION"})
_EITHER_WORDS = frozenset({"TO", "A", "B"})
_CAP_BEGINNINGS = ("URI:", "ro.URI:", "imm.URI:")


class CompletedText(click.types.StringParamType):
    """A text whose beginning a shell can complete."""

    def __init__(self, find: Finder) -> None:
        self._find = find

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the candidates that begin like this, in full."""
        # lazy import: only a shell that completes needs it.
        from click.shell_completion import CompletionItem

        found = (text for text in self._find(ctx, incomplete) if text.startswith(incomplete) and text.isprintable())
        items: list[CompletionItem] = []
        try:
            items.extend(CompletionItem(text) for text in islice(found, CANDIDATES_MAX))
        except (TallacError, OSError):
            # What was found before is still worth offering; who runs the command reads what is wrong.
            return items
        return items


def make_completed(parameters: list[click.Parameter]) -> None:
    """Make shells complete those of a command's parameters whose metavar says what they are."""
    for parameter in parameters:
        if parameter.type is click.STRING and parameter.metavar is not None:
            find = _finder_for(parameter.metavar, has_target=any(other.name == "target" for other in parameters))
            if find is not None:
                parameter.type = CompletedText(find)


def _finder_for(metavar: str, *, has_target: bool) -> Finder | None:
    words = set(_WORD.findall(metavar))
    if "JOB" in words:
        return _find_jobs
    is_remote = any(word.startswith("ALIAS:") and word != "ALIAS:" for word in words)
    if words & _EITHER_WORDS or (is_remote and words & _LOCAL_WORDS):
        return _find_either
    if is_remote:
        return _find_places
    if "ALIAS:" in words:
        return _find_aliases_and_local_paths if words & _LOCAL_WORDS else lambda context, _incomplete: _aliases(context)
    if words & _LOCAL_WORDS:
        return lambda _context, incomplete: _local_paths(incomplete)
    return _find_snapshots if has_target and "NAME" in words else None


def _find_jobs(context: click.Context, _incomplete: str) -> Iterator[str]:
    with _client(context) as client:
        yield from client.jobs.read()


def _find_either(context: click.Context, incomplete: str) -> Iterable[str]:
    first = incomplete.partition("/")[0]
    if ":" in first or incomplete.startswith("@"):
        return _find_places(context, incomplete)
    return _find_aliases_and_local_paths(context, incomplete)


def _find_aliases_and_local_paths(context: click.Context, incomplete: str) -> Iterable[str]:
    return chain(_aliases(context), _local_paths(incomplete))


def _find_places(context: click.Context, incomplete: str) -> Iterator[str]:
    """Return aliases, and the entries of the directory that is being written; below the default alias where none is named."""
    root, path = _split_root(incomplete)
    if root == "" and incomplete.startswith("@"):
        yield from _local_paths(incomplete)
        return
    if root == "" and "/" not in path:
        yield from _aliases(context)
    if incomplete.startswith(("@-", *_CAP_BEGINNINGS)) and root == "":
        return
    folder, slash, name = path.rpartition("/")
    directory = root + folder + slash
    target, at, _ = name.rpartition("@")
    with _client(context) as client:
        if at:
            yield from _moments(client, directory + target)
        for entry in client.inspect.ls(directory):
            try:
                name = entry.name.decode()
            except UnicodeDecodeError:
                continue  # No shell could be handed it in text.
            yield directory + name + ("/" if entry.is_directory else "")


def _split_root(incomplete: str) -> tuple[str, str]:
    """Split what names a root, with what ends it, from the path below it; there may be no root yet."""
    if incomplete.startswith("@-"):
        return "", incomplete
    separator = "/" if incomplete.startswith(_CAP_BEGINNINGS) else ":"
    root, found, path = incomplete.partition(separator)
    return (root + found, path) if found else ("", incomplete)


def _moments(client: Client, target: str) -> Iterator[str]:
    """Return a target with each WHEN that says one of its snapshots: `latest`, and names, the newest first."""
    try:
        entries = list(client.inspect.ls(f"{target}Archives" if target.endswith((":", "/")) else f"{target}/Archives"))
    except TallacError:
        return  # An `@` may be part of an entry's name.
    if entries:
        yield f"{target}@latest"
    for entry in reversed(entries):
        yield f"{target}@{os.fsdecode(entry.name)}"


def _find_snapshots(context: click.Context, _incomplete: str) -> Iterator[str]:
    target = context.params.get("target")
    if not isinstance(target, str):
        return
    yield "Latest"
    with _client(context) as client:
        for entry in client.inspect.ls(f"{target}Archives" if target.endswith((":", "/")) else f"{target}/Archives"):
            yield os.fsdecode(entry.name)


def _aliases(context: click.Context) -> Iterator[str]:
    with _client(context) as client:
        for name, _ in client.aliases.list():
            yield f"{name}:"


def _local_paths(incomplete: str) -> Iterator[str]:
    """Return the entries of the folder that is being written; hidden ones only once a dot is there."""
    mark = "@" if incomplete.startswith("@") else ""
    folder, slash, prefix = incomplete.removeprefix(mark).rpartition("/")
    with os.scandir(os.path.expanduser(folder + slash) or ".") as found:
        for entry in sorted(found, key=lambda entry: entry.name):
            if entry.name.startswith(prefix) and (prefix or not entry.name.startswith(".")):
                yield mark + folder + slash + entry.name + ("/" if entry.is_dir() else "")


def _client(context: click.Context) -> Client:
    # lazy import: help lists commands without all that they need.
    from tallac.app.client import Client

    settings = context.ensure_object(Settings)
    return Client(
        vault=settings.grid,
        # Other places of a key are commands that would be run, questions, or standard input.
        vault_key_file=settings.vault_key if os.path.isfile(settings.vault_key or "") else None,
        node_directory=settings.node_directory,
        node_url=settings.node_url,
        may_ask=False,
    )
