"""The errors of a gateway: each becomes one exception with a sentence for the user."""

from __future__ import annotations

import re

from tallac.errors import (
    ConflictError,
    MissingObjectError,
    ObjectNotFoundError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
)

_CAP = re.compile(r"(?:URI:|ro\.|imm\.)[^\s'\"<>]+")
_MARKUP = re.compile(r"<[^>]*>")
_LENGTH_MAX = 200

_LOST = "Some storage servers may be down; try again when they are up, and `tallac deep-check --repair` then"
_REASONS: tuple[tuple[str, type[StoreError], str], ...] = (
    ("NoSharesError", MissingObjectError, f"no storage server has a share of it (NoSharesError). {_LOST}"),
    ("NotEnoughSharesError", MissingObjectError, f"too few of its shares can be found (NotEnoughSharesError). {_LOST}"),
    (
        "UnrecoverableFileError",
        MissingObjectError,
        f"it can't be recovered from the shares there are (UnrecoverableFileError). {_LOST}",
    ),
    (
        # A storage server also refuses a share that another client is uploading at the moment.
        "UploadUnhappinessError",
        StoreBusyError,
        "too few storage servers take shares (UploadUnhappinessError); bring up more servers, or lower shares.happy in tahoe.cfg",
    ),
    (
        "NoServersError",
        StoreUnavailableError,
        "the node is connected to no storage server (NoServersError); try again when one is up",
    ),
    (
        "NotEnoughServersError",
        StoreUnavailableError,
        "too few storage servers can be reached (NotEnoughServersError); try again when more of them are up",
    ),
    (
        "UncoordinatedWriteError",
        ConflictError,
        "somebody else changed it at the same time (UncoordinatedWriteError); try again, and write through one node only",
    ),
    ("NotWriteableError", StorePermissionError, "its cap does not allow to change it; use a write cap"),
    ("NoSpace", StoreFullError, "the storage servers have no space left; add some, or free some"),
)
"""Text in a body, the error that it means, and the message for the user."""

_STATUSES: dict[int, tuple[type[StoreError], str]] = {
    404: (ObjectNotFoundError, "there is no such thing on the grid"),
    409: (ConflictError, "something of that name is there already"),
    410: (MissingObjectError, f"the grid can't give it back. {_LOST}"),
    413: (StoreFullError, "the node takes nothing so large"),
}


def refusal(where: str, status: int, body: bytes) -> StoreError:
    """Convert an unsuccessful answer to an error.

    Args:
        where: The node that was asked for, as it may be shown.
        status: The HTTP status.
        body: The answer's body; everything in it that looks like a cap is left out of the message.
    """
    text = body.decode("utf-8", "replace")
    for mark, kind, reason in _REASONS:
        if mark in text:
            return kind(f"{where}: {reason}")
    if status in _STATUSES:
        kind, reason = _STATUSES[status]
        return kind(f"{where}: {reason}")
    return StoreError(f"{where}: the Tahoe-LAFS node answered {status}: {redacted(text)}")


def redacted(text: str) -> str:
    """Return the first line of a gateway's message, printable, shortened and without caps."""
    lines = (line.strip() for line in _MARKUP.sub(" ", text).splitlines())
    first = next((line for line in lines if line), "nothing more")
    shown = "".join(character if character.isprintable() else "?" for character in _CAP.sub("(a cap)", first))
    return shown if len(shown) <= _LENGTH_MAX else shown[:_LENGTH_MAX] + "..."
