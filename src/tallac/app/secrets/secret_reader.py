"""Secrets from a file, standard input, a command or the system keyring, so that they stand in no process list."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tallac.errors import LocalStateError, UsageError

STANDARD_INPUT = "-"
LINE_SIZE_MAX = 64 << 10
ALL_SIZE_MAX = 16 << 20
KEYRING_SERVICE = "tallac"


class SecretSource:
    """Reads first lines of files and of what commands print, and one line after another from standard input."""

    def __init__(self, standard_input: BinaryIO | None, *, may_ask: bool = True) -> None:
        """Read `-` from standard input. Commands and keyrings, either of which may ask the user, are used only if `may_ask`."""
        self._may_ask = may_ask
        self._standard_input = standard_input

    def read_line(self, file: str, expected: str) -> str:
        """Return the first line of a file, or the next one of standard input for `-`, without white space around it.

        Args:
            file: The file's name, or `-`.
            expected: What should be there, for messages.

        Raises:
            UsageError: There is none, or it can't be read.
        """
        return self._not_empty(self._read(file, expected).decode("utf-8", errors="replace").strip(), _place(file), expected)

    def read_exact_line(self, file: str, expected: str) -> str:
        """Return a line as `read_line` does, with the white space and the odd bytes that are in it.

        Raises:
            UsageError: There is none, or it can't be read.
        """
        return self._not_empty(_exact(self._read(file, expected)), _place(file), expected)

    def read_all(self) -> bytes:
        """Return the rest of standard input."""
        return b"" if self._standard_input is None else self._standard_input.read(ALL_SIZE_MAX)

    def ask_command(self, command: str, expected: str) -> str:
        """Run a command, which may ask at the terminal, and give the first line that it prints, with the white space in it.

        No shell is involved; quotes hold words together as in one.

        Raises:
            UsageError: It can't be run, or fails, or prints nothing.
        """
        import shlex  # lazy import: few keys are behind a command
        import subprocess  # lazy import: likewise

        self._require_loud()
        try:
            words = shlex.split(command, posix=os.name == "posix")
        except ValueError as error:
            raise UsageError(f"this is no command, since a quote in it has no end: {error}") from None
        if not words:
            raise UsageError(f"a command that prints {expected} is needed, and this one is empty")
        try:
            finished = subprocess.run(words, stdout=subprocess.PIPE, check=False)
        except OSError as error:
            raise UsageError(f"{words[0]}: can't run this command for {expected} ({error.strerror})") from error
        if finished.returncode:
            raise UsageError(f"{words[0]}: this command, which should print {expected}, ended with status {finished.returncode}")
        return self._not_empty(_exact(finished.stdout.partition(b"\n")[0]), words[0], expected)

    def ask_keyring(self, entry: str, expected: str) -> str:
        """Return the secret that the system keyring has for this entry of the service `tallac`.

        Raises:
            UsageError: It has nothing.
            LocalStateError: There is no keyring, or it does not answer.
        """
        self._require_loud()
        found = _look_into_keyring(entry)
        if found is None:
            raise UsageError(f"the system keyring has no entry {entry!r} of {KEYRING_SERVICE!r}, which should contain {expected}")
        return found

    def is_in_keyring(self, entry: str) -> bool:
        """Report whether the system keyring has this entry.

        Raises:
            LocalStateError: There is no keyring, or it does not answer.
        """
        return _look_into_keyring(entry) is not None

    def tell_keyring(self, entry: str, secret: str) -> None:
        """Store a secret in the system keyring.

        Raises:
            LocalStateError: There is no keyring, or it refuses.
        """
        # lazy import: it takes longer to load than most commands run.
        import keyring
        from keyring.errors import KeyringError

        try:
            keyring.set_password(KEYRING_SERVICE, entry, secret)
        except KeyringError as error:
            raise _keyring_error(error) from error

    def _read(self, file: str, expected: str) -> bytes:
        if not file:
            raise UsageError(f"a file name, or - for standard input, is needed to read {expected} from")
        if file == STANDARD_INPUT:
            return b"" if self._standard_input is None else self._standard_input.readline(LINE_SIZE_MAX)
        try:
            with Path(file).open("rb") as opened:
                return opened.readline(LINE_SIZE_MAX)
        except OSError as error:
            raise UsageError(f"{file}: can't read it ({error.strerror})") from error

    def _require_loud(self) -> None:
        if not self._may_ask:
            raise UsageError("this would ask for a secret, which is not allowed here")

    def _not_empty(self, text: str, place: str, expected: str) -> str:
        if not text:
            raise UsageError(f"{place}: {expected} is expected in its first line, which is empty")
        return text


def _look_into_keyring(entry: str) -> str | None:
    # lazy import: as above
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING_SERVICE, entry)
    except KeyringError as error:
        raise _keyring_error(error) from error


def _place(file: str) -> str:
    return "standard input" if file == STANDARD_INPUT else file


def _exact(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _keyring_error(error: Exception) -> LocalStateError:
    return LocalStateError(f"the system keyring does not answer: {type(error).__name__}; unlock it, or keep the secret elsewhere")
