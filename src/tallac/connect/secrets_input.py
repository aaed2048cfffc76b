"""Secrets that are read from a file or from standard input, so that they stand in no process list."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from tallac.errors import UsageError

STANDARD_INPUT = "-"
LINE_SIZE_MAX = 64 << 10


class SecretSource:
    """Reads first lines of files, and one line after another from standard input."""

    def __init__(self, standard_input: BinaryIO | None) -> None:
        self._standard_input = standard_input

    def read_line(self, file: str, what: str) -> str:
        """Give the first line of a file, or the next one of standard input for `-`, without white space around it.

        Args:
            file: The file's name, or `-`.
            what: What is expected there, for messages.

        Raises:
            UsageError: There is none, or it can't be read.
        """
        if not file:
            raise UsageError(f"a file name, or - for standard input, is needed to read {what} from")
        line = self._read(file)
        text = line.decode("utf-8", errors="replace").strip()
        if not text:
            place = "standard input" if file == STANDARD_INPUT else file
            raise UsageError(f"{place}: {what} is expected in its first line, which is empty")
        return text

    def _read(self, file: str) -> bytes:
        if file == STANDARD_INPUT:
            return b"" if self._standard_input is None else self._standard_input.readline(LINE_SIZE_MAX)
        try:
            with Path(file).open("rb") as opened:
                return opened.readline(LINE_SIZE_MAX)
        except OSError as error:
            raise UsageError(f"{file}: can't read it ({error.strerror})") from error
