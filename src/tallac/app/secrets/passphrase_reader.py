"""Where a passphrase comes from: a file, a command, the system keyring, the environment, or somebody at a terminal."""

from __future__ import annotations

import getpass
import os
import sys
import warnings
from collections.abc import Callable, Mapping

import msgspec

from tallac.app.secrets.secret_reader import SecretSource
from tallac.caps.redaction import redact
from tallac.errors import UsageError

PASSPHRASE_VARIABLE = "TALLAC_PASSPHRASE"  # noqa: S105 - where it stands, not what it is.


class PassphraseChoice(msgspec.Struct, frozen=True):
    """The options on where a passphrase is read; without any, the environment or a prompt.

    Attributes:
        file: A file, or `-`.
        command: A command that prints it.
        keyring: The name of an entry in the system keyring.
    """

    file: str | None = None
    command: str | None = None
    keyring: str | None = None


def ask_at_terminal(question: str) -> str:
    """Ask somebody, without showing what is typed.

    Raises:
        UsageError: There is nobody to ask.
    """
    with warnings.catch_warnings():
        # Where it can't hide what is typed, getpass would warn and show it.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(redact(question), stream=sys.stderr)
        except EOFError:
            raise UsageError("no passphrase was entered") from None
        except (getpass.GetPassWarning, OSError):
            raise UsageError(
                f"no terminal to ask for a passphrase; give --passphrase-file, --passphrase-command, "
                f"--passphrase-keyring or the variable {PASSPHRASE_VARIABLE}"
            ) from None


class PassphraseSource:
    """Reads a passphrase from where the user said."""

    def __init__(
        self,
        choice: PassphraseChoice,
        secrets: SecretSource,
        *,
        ask: Callable[[str], str] = ask_at_terminal,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Remember where it is to come from; nothing is read yet.

        Raises:
            UsageError: The choice names several places.
        """
        if sum(place is not None for place in (choice.file, choice.command, choice.keyring)) > 1:
            raise UsageError("give one of --passphrase-file, --passphrase-command and --passphrase-keyring")
        self._choice = choice
        self._secrets = secrets
        self._ask = ask
        self._environment = environment

    def read(self) -> str:
        """Read a passphrase that is set already.

        Raises:
            UsageError: There is none where it should be.
        """
        given = self._given()
        return self._not_empty(self._ask("Passphrase: ") if given is None else given)

    def read_new(self) -> str:
        """Read a new passphrase; at a terminal it is typed twice.

        Raises:
            UsageError: There is none where it should be, or what was typed differs.
        """
        given = self._given()
        if given is not None:
            return self._not_empty(given)
        first = self._not_empty(self._ask("New passphrase: "))
        if self._ask("Repeat passphrase: ") != first:
            raise UsageError("the two passphrases differ; nothing was changed")
        return first

    def _given(self) -> str | None:
        choice = self._choice
        if choice.file is not None:
            return self._secrets.read_exact_line(choice.file, "a passphrase")
        if choice.command is not None:
            return self._secrets.ask_command(choice.command, "a passphrase")
        if choice.keyring is not None:
            return self._secrets.ask_keyring(choice.keyring, "a passphrase")
        return self._environment.get(PASSPHRASE_VARIABLE)

    def _not_empty(self, passphrase: str) -> str:
        if not passphrase:
            raise UsageError("the passphrase is empty; choose several words")
        return passphrase
