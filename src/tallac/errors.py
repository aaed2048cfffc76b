"""All exceptions of Tallac.

An exception's message is one line that the user reads: it names the place and says what to do now. Errors keep their domain
(source, store, local state): the base class says which. `retryable` is declared here and never guessed from a message.
"""

from __future__ import annotations

from typing import ClassVar


class TallacError(Exception):
    """Something went wrong that a user can understand and act on."""

    retryable: ClassVar[bool] = False


class UsageError(TallacError):
    """The command line or its arguments make no sense; nothing was done."""


# Caps and aliases


class CapError(TallacError):
    """A cap can't be used for what was asked."""


class MalformedCapError(CapError):
    """A text is no cap."""


class AuthorityError(CapError):
    """A cap or vault key does not allow this: reading, writing or listing needs another one."""


class WrongPassphraseError(CapError):
    """A passphrase opens nothing in this vault."""


class MalformedKitError(CapError):
    """A text is no recovery kit, or has a typing error."""


class AliasError(TallacError):
    """An alias is unknown, or exists already."""


# Directories and their entries


class EntryError(TallacError):
    """An operation on a named entry of a directory can't be carried out."""


class EntryNotFoundError(EntryError):
    """No entry has this name."""


class EntryExistsError(EntryError):
    """An entry with this name is in the way."""


class NotADirectoryCapError(EntryError):
    """A path goes through, or ends at, something that is no directory."""


class NameTakenError(EntryExistsError):
    """Another snapshot has this name."""


# The gateway


class RequestError(TallacError):
    """A request to the gateway makes no sense, or may not be carried out; `status` is the HTTP status of the answer."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


# The store: backends and grids


class StoreError(TallacError):
    """The store could not do what was asked; earlier snapshots are whole."""


class StoreFullError(StoreError):
    """The store has no space left, or a quota is exhausted."""


class StorePermissionError(StoreError):
    """The store can be read and not written."""


class StoreUnavailableError(StoreError):
    """The store did not answer in time, or broke off; trying again may help."""

    retryable = True


class StoreBusyError(StoreUnavailableError):
    """The store did not take it at this moment; it may take the very same a little later."""


class ObjectNotFoundError(StoreError):
    """The store has no object of this name."""


class ConflictError(StoreError):
    """Somebody else changed a mutable object between reading and writing it."""

    retryable = True


class VaultNotFoundError(StoreError):
    """The location holds no vault."""


class UnsupportedFormatError(StoreError):
    """The vault was written by a newer Tallac; it is left alone."""


class RollbackDetectedError(StoreError):
    """The vault shows an older state than this client has seen."""


class FencedError(StoreError):
    """A prune took over while this run was away; what it refers to must be looked up again."""

    retryable = True


# Damage


class DamageError(StoreError):
    """Stored bytes are missing, or are not what their cap or name promises."""


class MissingObjectError(DamageError):
    """The vault does not hold an object that a cap refers to."""


class CorruptObjectError(DamageError):
    """Stored bytes are not what their cap or name promises."""


class MalformedObjectError(CorruptObjectError):
    """Authentic bytes do not follow the format."""


# The source, and the place that is restored to


class SourceError(TallacError):
    """The source can't be read as a whole: it vanished, or is no directory."""


class UnreadableError(SourceError):
    """One file or directory of the source can't be read; it is left out of the snapshot."""

    def __init__(self, reason: str, error_number: int | None) -> None:
        super().__init__(reason)
        self.error_number = error_number


class PatternError(UsageError):
    """A text is no pattern that files could be chosen by."""


class DestinationError(TallacError):
    """The folder that is to be restored to can't be used."""


class ArchiveError(TallacError):
    """An archive that is being written can't be completed; what has been written of it is not whole."""


# Local state


class LocalStateError(TallacError):
    """Tallac's own configuration or state on this machine can't be used."""


class ConfigurationError(LocalStateError):
    """The configuration is malformed, or can't be read or written."""


class OutputError(LocalStateError):
    """What a command prints can't be written to standard output."""


class WorkerCrashedError(LocalStateError):
    """A worker process ended unexpectedly, killed perhaps for lack of memory; nothing was entered."""
