"""The roots: the verify caps of all mutable directories, in a register that keepers can read.

What hangs from a root is kept. A root enters the register after its slot is stored and before anybody is given its cap, so a slot
that is no root, as a killed run can leave it, has nothing in it.
"""

from __future__ import annotations

from tallac.caps import MutableDirectoryVerify
from tallac.errors import MalformedObjectError, MissingObjectError
from tallac.vault.registers import Register

_ROOT_SIZE = 48


class Roots:
    """The register of roots."""

    def __init__(self, register: Register) -> None:
        """Take the register, sealed under the keeper key; nothing is read yet."""
        self._register = register

    def add(self, cap: MutableDirectoryVerify) -> None:
        """Add a root; durable when this returns."""
        root = cap.storage_index + cap.fingerprint
        self._register.swap(lambda text: (text or b"") + root)

    def read(self) -> list[MutableDirectoryVerify]:
        """Give all roots.

        Raises:
            MissingObjectError, CorruptObjectError: The register is lost or damaged.
        """
        state = self._register.read()
        if state is None:
            raise MissingObjectError("the register of the roots is missing")
        text = state.text
        if len(text) % _ROOT_SIZE:
            raise MalformedObjectError("the register of the roots has a wrong length")
        roots = [text[place : place + _ROOT_SIZE] for place in range(0, len(text), _ROOT_SIZE)]
        return [MutableDirectoryVerify(root[:16], root[16:]) for root in roots]
