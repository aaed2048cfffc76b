"""Reports of the read-only commands: read errors, periods of snapshots, words for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from tallac.cli.command import CommandContext
from tallac.cli.output.display import json_name
from tallac.cli.output.stderr import show_name
from tallac.dag import Entry
from tallac.look.read_errors import ReadError
from tallac.look.versions import runs


@dataclass(slots=True)
class ReadErrors:
    """Prints on standard error which paths could not be read, and counts them."""

    context: CommandContext
    count: int = field(default=0, init=False)

    def __call__(self, error: ReadError) -> None:
        """Take note of one."""
        self.count += error.is_missing
        if self.context.output.is_json:
            names = [json_name(name, "snapshot") for name in error.snapshots]
            self.context.output.record(type="trouble", what=error.message, snapshots=names, **json_name(error.path, "path"))
        path = show_name(error.path) or ("all of it" if error.snapshots else "what was asked for")
        self.context.output.warn(f"{_where(error.snapshots)}{path}: {error.message}")

    @property
    def status(self) -> int:
        """The exit status: 1 where the answer lacks something."""
        return 1 if self.count else 0


def _where(snapshots: Sequence[bytes]) -> str:
    """Name some snapshots at the beginning of a line."""
    if not snapshots:
        return ""
    more = f" and {len(snapshots) - 1:,} more" if len(snapshots) > 1 else ""
    return f"{show_name(snapshots[0])}{more}: "


def show_snapshots(snapshots: Sequence[Entry], numbers: Sequence[int]) -> str:
    """Write which snapshots are meant, each stretch of them by its first and last, with their count."""
    parts = []
    for first, last in runs(numbers):
        names = [show_name(snapshots[number].name) for number in (first, last)]
        parts.append(names[0] if first == last else f"{names[0]} .. {names[1]} ({last - first + 1})")
    return ", ".join(parts)


def shell_word(word: bytes) -> str:
    """Write a word such that a shell takes it for one, and a terminal shows it; what can't be shown needs bash or zsh."""
    text = word.decode("utf-8", "surrogateescape")
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        character if character.isprintable() and character not in "\\'" else "".join(f"\\x{byte:02x}" for byte in _bytes(character))
        for character in text
    )
    return f"$'{escaped}'"


def _bytes(character: str) -> bytes:
    return character.encode("utf-8", "surrogateescape")
