"""All exceptions of Tallac.

An exception's message is one line that the user reads: it names the place and says what to do now. Errors keep their domain
(source, store, local state): the base class says which.
"""

from __future__ import annotations


class TallacError(Exception):
    """An error that a user can understand and act on."""


class UsageError(TallacError):
    """The command line or its arguments are wrong; nothing was done."""


# Caps and aliases


class CapError(TallacError):
    """A cap can't be used for this operation."""


class MalformedCapError(CapError):
    """The text is not a cap."""


class AuthorityError(CapError):
    """The cap or vault key does not allow this; reading, writing or listing needs another one."""


class WrongPassphraseError(CapError):
    """The passphrase is not one of this vault."""


class MalformedKitError(CapError):
    """The text is not a recovery kit, or has a typing error."""


class AliasError(TallacError):
    """The alias is unknown, or exists already."""


# Directories and their entries


class EntryError(TallacError):
    """The operation on an entry of a directory can't be carried out."""


class EntryNotFoundError(EntryError):
    """No entry has this name."""


class SnapshotsLostError(EntryError):
    """Snapshots would be dropped by a command that is not made for that."""


class EntryExistsError(EntryError):
    """An entry of this name exists already."""


class NotADirectoryCapError(EntryError):
    """The path goes through, or ends at, something that is not a directory."""


# The gateway


class RequestError(TallacError):
    """A request to the gateway is malformed or not allowed; `status` is the HTTP status of the answer."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


# The store: backends and grids


class StoreError(TallacError):
    """The store could not carry out the operation; earlier snapshots are intact."""


class StoreFullError(StoreError):
    """The store has no space left, or its quota is used up.

    Attributes:
        is_refusal: Whether the store has said so itself to all that was sent for a change, so that nothing of it can be carried out
            later. Without an answer to some of it, that is not known.
    """

    def __init__(self, text: str, *, is_refusal: bool = False) -> None:
        super().__init__(text)
        self.is_refusal = is_refusal


class StorePermissionError(StoreError):
    """The store does not permit this client the operation, such as deleting where it may only add."""


class StoreLockedError(StorePermissionError):
    """The store keeps an object locked, so that nobody can delete or replace it for now; try again when its time is over."""


class StoreUnavailableError(StoreError):
    """The store did not answer in time, or the connection broke; try again."""


class SilentStoreError(StoreUnavailableError):
    """Nothing was heard of the store for too long; check the line and the server."""


class StoreBusyError(StoreUnavailableError):
    """The store refused the object at this moment; the same request may succeed a little later."""


class UnsupportedByStoreError(StoreError):
    """The store does not know a kind of request that a vault needs."""


class UnsafeStoreError(StoreError):
    """The store does not do what a vault relies on; nothing of a vault was written to it."""


class ObjectNotFoundError(StoreError):
    """The store has no object of this name."""


class ConflictError(StoreError):
    """Another client changed the object between reading and writing it; try again."""


class VaultNotFoundError(StoreError):
    """No vault was found at the location."""


class UnsupportedFormatError(StoreError):
    """The vault was written by a newer Tallac; nothing was changed."""


class RollbackDetectedError(StoreError):
    """The vault has an older state than this client has already seen."""


class LostStateError(RollbackDetectedError):
    """The vault lacks a register or slot of which this client has already seen a state."""


class FencedError(StoreError):
    """A prune ended this session while it was inactive; the objects that it refers to must be looked up again."""


# Damage


class DamageError(StoreError):
    """Stored data is missing or damaged."""


class MissingObjectError(DamageError):
    """An object that a cap refers to is missing."""


class CorruptObjectError(DamageError):
    """Stored bytes don't match the hash or signature of their cap or name."""


class MalformedObjectError(CorruptObjectError):
    """Stored bytes are authentic but don't follow the format."""


# The source and the destination


class SourceError(TallacError):
    """The source can't be read at all: it was removed, or is not a directory."""


class UnreadableError(SourceError):
    """One file or directory of the source can't be read; it is left out of the snapshot."""

    def __init__(self, reason: str, error_number: int | None) -> None:
        super().__init__(reason)
        self.error_number = error_number


class PatternError(UsageError):
    """The text is not a valid file pattern."""


class DestinationError(TallacError):
    """The destination folder of a restore can't be used."""


class ArchiveError(TallacError):
    """The archive can't be completed; what was written of it is not a valid archive."""


# Local state


class LocalStateError(TallacError):
    """Tallac's own configuration or state on this machine can't be used."""


class ConfigurationError(LocalStateError):
    """The configuration is malformed, or can't be read or written."""


class OutputError(LocalStateError):
    """The output can't be written to standard output."""


class NotifyError(TallacError):
    """A notice could not be sent; the message does not name the address, which may hold a password."""


class WorkerCrashedError(LocalStateError):
    """A worker process ended unexpectedly, perhaps killed for lack of memory; no snapshot was created."""
