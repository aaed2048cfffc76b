"""Standard output and standard error, also when nobody reads them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

import msgspec

from tallac.cli.output.stderr import redact, say, show_name
from tallac.errors import OutputError
from tallac.interfaces import Buffer, TrafficCount

_NAMES_AT_ONCE = 500


class Output:
    """Writes results to standard output, and messages to standard error.

    Results are bytes: a name is written as it is, unless a terminal would have to show it. Messages are one line each.

    In both, caps and keys are replaced by what can be compared and can't be used. The methods whose names begin with `danger_` are
    for those that the user has asked for, and names that directories have are never changed.

    Attributes:
        is_verbose: Details are wanted.
        is_quiet: Only warnings and errors are wanted.
        is_json: Results are JSON objects, one a line.
        is_terminal: Standard output is a terminal.
        carries_content: Standard output carries a file's content, an archive or a cap, and nothing else belongs there.
        traffic: Returns what was sent to a store over a line by now, and received; None where nothing was.
    """

    def __init__(
        self, *, is_verbose: bool = False, is_quiet: bool = False, is_json: bool = False, hides_progress: bool = False
    ) -> None:
        self.is_verbose = is_verbose
        self.is_quiet = is_quiet
        self.is_json = is_json
        self._stdout: BinaryIO = sys.stdout.buffer
        self.is_terminal = sys.stdout.isatty()
        self.carries_content = False
        self._hides_progress = hides_progress
        self._is_cut = False
        self._has_reported_traffic = False
        self.traffic: Callable[[], TrafficCount | None] = lambda: None

    @property
    def shows_progress(self) -> bool:
        """Whether there is a terminal that a progress line would help, and that can take a line back."""
        if self._hides_progress or self.is_quiet or self.is_json or self.is_verbose:
            return False
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def records_progress(self) -> bool:
        """Whether a program is told how far it is."""
        return self.is_json and not (self.is_quiet or self._hides_progress)

    def write(self, data: Buffer, /) -> None:
        """Write bytes as they are.

        Raises:
            OutputError: They can't be written. A closed pipe raises BrokenPipeError.
        """
        try:
            self._stdout.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _output_error(error) from error

    def flush(self) -> None:
        """Hand over what is buffered. Raises as `write` does."""
        try:
            self._stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _output_error(error) from error

    def name(self, name: bytes, before: str = "", after: bytes = b"\n") -> None:
        """Write a line with a name in it: escaped for a terminal, as it is for anything else."""
        raw = show_name(name).encode("utf-8", "backslashreplace") if self.is_terminal else name
        self.write(before.encode() + raw + after)

    def names(self, names: Iterable[bytes], end: bytes = b"\n") -> None:
        """Write many names as `name` does, each with an end of its own; with another end than that of lines, as they are."""
        is_shown = self.is_terminal and end == b"\n"
        waiting: list[bytes] = []
        try:
            for name in names:
                waiting.append(show_name(name).encode("utf-8", "backslashreplace") if is_shown else name)
                if len(waiting) == _NAMES_AT_ONCE:
                    self.write(end.join(waiting) + end)
                    waiting.clear()
        finally:
            # Also those before an error.
            if waiting:
                self.write(end.join(waiting) + end)

    def line(self, text: str) -> None:
        """Write a line of plain text."""
        self.danger_line(redact(text))

    def danger_line(self, text: str) -> None:
        """Write a line with the secrets in it, which the user has asked for."""
        self.write(text.encode("utf-8", "backslashreplace") + b"\n")

    def record(self, listed: Mapping[str, object] | None = None, /, **fields: object) -> None:
        """Write a JSON object on a line of its own. What is listed comes first: directories say that, and it stays as it is."""
        listed = listed or {}
        fields |= self._traffic_of(fields)
        text = msgspec.json.encode({**listed, **fields}).decode()
        if redact(text) is not text:
            shown = msgspec.json.decode(redact(msgspec.json.encode(fields).decode()))
            text = msgspec.json.encode({**listed, **shown}).decode()
        self._write_json(text)

    def danger_record(self, **fields: object) -> None:
        """Write a JSON object with the secrets in it, which the user has asked for."""
        self._write_json(msgspec.json.encode(fields).decode())

    def _traffic_of(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return what a summary says besides: how much a store over a line was asked."""
        traffic = self.traffic() if fields.get("type") == "summary" else None
        if traffic is None:
            return {}
        self._has_reported_traffic = True
        return {"requests": traffic.requests, "bytes_sent": traffic.sent, "bytes_received": traffic.received}

    def end(self) -> None:
        """Write last, as JSON, how much a store over a line was asked, where no summary has said it."""
        if self.is_json and not self.carries_content and not self._has_reported_traffic and (traffic := self.traffic()) is not None:
            self.record(type="traffic", requests=traffic.requests, bytes_sent=traffic.sent, bytes_received=traffic.received)

    def summary(self, rows: Mapping[str, str]) -> None:
        """Write what was done, a line each, unless quiet."""
        if not self.is_quiet:
            self.rows(rows)

    def rows(self, rows: Mapping[str, str]) -> None:
        """Write values that were asked for, a line each."""
        width = max(map(len, rows), default=0)
        for label, value in rows.items():
            self.line(f"{label.ljust(width)}  {value}")

    def changed(self, place: str) -> None:
        """Name a place that was changed: as JSON, or where details are wanted."""
        if self.is_json:
            self.record(changed=place)
        else:
            self.detail(place)

    def detail(self, text: str) -> None:
        """Name something as it is done, where that was asked for: on standard output, unless that carries JSON or content.

        Whoever stops reading the list, or can't keep it, does not stop what is done; the next result tells of it.
        """
        if not self.is_verbose or self._is_cut:
            return
        if self.is_json or self.carries_content:
            say(text)
            return
        try:
            self.line(show_name(text))
            self.flush()
        except (BrokenPipeError, OutputError):
            self._is_cut = True

    def note(self, text: str) -> None:
        """Print a note, unless quiet."""
        if not self.is_quiet:
            say(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        say(f"tallac: {text}")

    def _write_json(self, text: str) -> None:
        # JSON itself escapes what is below a blank only; a terminal acts on more: C1 controls, DEL, and what turns text round.
        if self.is_terminal and not text.isprintable():
            text = "".join(character if character.isprintable() else _json_escape(character) for character in text)
        self.write(text.encode() + b"\n")


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def _output_error(error: OSError) -> OutputError:
    return OutputError(f"can't write to standard output: {error.strerror}")
