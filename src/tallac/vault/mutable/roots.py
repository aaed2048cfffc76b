"""The roots: the verify caps of all mutable directories, in a register that keepers can read.

What hangs from a root is kept. A root enters the register after its slot is stored and before anybody is given its cap, so a slot
that is no root, as a killed run can leave it, has nothing in it.
"""

from __future__ import annotations

from collections.abc import Callable

from tallac.caps import MutableDirectoryVerify
from tallac.errors import MalformedObjectError, MissingObjectError
from tallac.vault.mutable.registers import Register
from tallac.vault.mutable.slots import ROOT_SIZE


def encode_roots(roots: list[MutableDirectoryVerify]) -> bytes:
    """Encode the register's text."""
    return b"".join(root.storage_index + root.fingerprint for root in roots)


def _decode(text: bytes) -> list[MutableDirectoryVerify]:
    if len(text) % ROOT_SIZE:
        raise MalformedObjectError("the register of the roots has a wrong length")
    roots = [text[place : place + ROOT_SIZE] for place in range(0, len(text), ROOT_SIZE)]
    return [MutableDirectoryVerify(root[:16], root[16:]) for root in roots]


class Roots:
    """The register of roots."""

    def __init__(self, register: Register) -> None:
        """Take the register, sealed under the keeper key; nothing is read yet."""
        self._register = register

    @property
    def path(self) -> str:
        """The register's name."""
        return self._register.path

    def add(self, cap: MutableDirectoryVerify, rescue: Callable[[], list[MutableDirectoryVerify]]) -> None:
        """Add a root; durable when this returns.

        Where the register is lost, it is written anew from what `rescue` finds: a register that leaves out a root would let a
        prune take what hangs from it.
        """

        def add(text: bytes | None) -> bytes:
            known = rescue() if text is None else _decode(text)
            return encode_roots([*(root for root in known if root != cap), cap])

        self._register.swap(add)

    def read(self) -> list[MutableDirectoryVerify]:
        """Return all roots.

        Raises:
            MissingObjectError, CorruptObjectError: The register is lost or damaged.
        """
        state = self._register.read()
        if state is None:
            raise MissingObjectError("the register of the roots is missing")
        return _decode(state.text)
