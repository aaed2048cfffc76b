"""The command with variables of its own, among them a system keyring that is a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tests.command import Tallac


@dataclass(frozen=True)
class Informed(Tallac):
    """The command with variables of its own in its environment."""

    variables: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What the command sees."""
        return super().environment | dict(self.variables)


def informed(tallac: Tallac, **variables: str) -> Informed:
    """Give the same command with more variables."""
    return Informed(tallac.home, variables=tuple(variables.items()))


def with_keyring(tallac: Tallac, file: Path) -> Informed:
    """Give the same command with a system keyring that lies in a file."""
    return informed(
        tallac,
        PYTHONPATH=os.pathsep.join([tallac.environment["PYTHONPATH"], str(Path(__file__).parents[1])]),
        PYTHON_KEYRING_BACKEND="tests.file_keyring.FileKeyring",
        TESTED_KEYRING=str(file),
    )
