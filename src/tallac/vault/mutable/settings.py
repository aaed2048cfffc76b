"""The settings of a vault, which every writer finds there. docs/format.md, "Registers", is the specification."""

from __future__ import annotations

import msgspec

from tallac.errors import CorruptObjectError, DamageError, MalformedObjectError
from tallac.interfaces.compressing import Compression
from tallac.vault.mutable.registers import REGISTER_PREFIX, Register

SETTINGS_REGISTER = "settings"
SETTINGS_PATH = REGISTER_PREFIX + SETTINGS_REGISTER

_COMPRESSION = "compression"
_decoder = msgspec.msgpack.Decoder(dict[str, str])


class Settings:
    """The register of settings. Most vaults have none: all is as it is by default.

    A mirror may have another state of it, or none: what was seen is remembered for each place, and one that is gone is none.
    """

    def __init__(self, register: Register) -> None:
        """Take the register, which all keys open; nothing is read yet."""
        self._register = register

    def compression(self) -> Compression:
        """Return how much writers compress that are not told otherwise; what only a newer Tallac knows counts as the default.

        Raises:
            RollbackDetectedError, CorruptObjectError: The register was rolled back, or is damaged: a repair empties it.
        """
        try:
            state = self._register.read()
            return _compression_in({} if state is None else _decode(state.text))
        except CorruptObjectError as error:
            raise type(error)(f"{error}: `tallac repair` empties it, and `backup --compression` does without it") from None

    def set_compression(self, compression: Compression) -> None:
        """Make writers compress so much from now on; durable when this returns. What is stored stays as it is.

        Raises:
            AuthorityError: The key is a locator key.
            RollbackDetectedError, CorruptObjectError: As `compression`.
        """

        def edit(text: bytes | None) -> bytes | None:
            settings = {} if text is None else _decode(text)
            if settings.get(_COMPRESSION, Compression.AUTO) == compression:
                return None
            return msgspec.msgpack.encode(settings | {_COMPRESSION: str(compression)}, order="deterministic")

        self._register.swap(edit)

    def repair(self, *, is_dry_run: bool) -> list[str]:
        """Empty the register where it is damaged; return what was done."""
        try:
            self.compression()
        except DamageError:
            if not is_dry_run:
                self._register.rewrite(b"")
            return ["emptied, since it was damaged: the register of settings; set the compression anew"]
        return []


def _compression_in(settings: dict[str, str]) -> Compression:
    value = settings.get(_COMPRESSION, Compression.AUTO)
    return Compression(value) if value in Compression.__members__.values() else Compression.AUTO


def _decode(text: bytes) -> dict[str, str]:
    """Read the register's text; an empty one has no settings."""
    try:
        return _decoder.decode(text) if text else {}
    except msgspec.MsgspecError:
        raise MalformedObjectError("the vault's registers/settings is no map from text to text") from None
