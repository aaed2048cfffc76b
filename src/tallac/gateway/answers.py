"""Response bodies and statuses as Tahoe-LAFS clients expect them."""

from __future__ import annotations

from html import escape

from starlette.responses import Response

from tallac.caps import Cap
from tallac.errors import (
    AuthorityError,
    ConflictError,
    CorruptObjectError,
    DamageError,
    EntryError,
    EntryExistsError,
    EntryNotFoundError,
    FencedError,
    MalformedCapError,
    NotADirectoryCapError,
    RequestError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
    TallacError,
    UsageError,
)
from tallac.gateway.described import json_text

_STATUSES: list[tuple[type[TallacError], int]] = [
    (EntryNotFoundError, 404),
    (EntryExistsError, 409),
    (NotADirectoryCapError, 400),
    (EntryError, 400),
    (MalformedCapError, 400),
    (UsageError, 400),
    (AuthorityError, 403),
    (DamageError, 410),
    (StoreFullError, 507),
    (StorePermissionError, 403),
    (StoreUnavailableError, 503),
    (ConflictError, 503),
    (FencedError, 503),
    (StoreError, 502),
]


def cap_answer(cap: Cap, status: int = 200) -> Response:
    """Return a bare cap; its media type is HTML, as a node sends it."""
    return done_answer(cap.danger_whole_text(), status)


def done_answer(text: str, status: int = 200) -> Response:
    """Return a message of success; its media type is HTML, as a node sends it."""
    return Response(text, status, media_type="text/html")


def text_answer(text: str, status: int = 200) -> Response:
    """Return one sentence as plain text."""
    return Response(text, status, media_type="text/plain")


def json_answer(value: object, status: int = 200) -> Response:
    """Return JSON; its media type is plain text, as a node sends it."""
    return Response(json_text(value), status, media_type="text/plain")


def redirect_answer(location: str, status: int = 302) -> Response:
    """Return a redirect.

    Raises:
        RequestError: The location is not printable ASCII, or would run a script.
    """
    if not location.isprintable() or not location.isascii() or location.lower().lstrip().startswith(("javascript:", "data:")):
        raise RequestError("a client can't be redirected to this address")
    # A client that does not follow by itself shows the page.
    page = f'<!DOCTYPE html><html><body><a href="{escape(location)}">{escape(location)}</a></body></html>'
    return Response(page, status, headers={"location": location}, media_type="text/html")


def error_answer(error: TallacError, *, is_mutable: bool = False) -> Response:
    """Return the answer that reports an error, as `error_text` puts it."""
    return text_answer(error_text(error, is_mutable=is_mutable), status_of(error))


def status_of(error: TallacError) -> int:
    """Return the HTTP status that reports an error."""
    if isinstance(error, RequestError):
        return error.status
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def error_text(error: TallacError, *, is_mutable: bool = False) -> str:
    """Return the text of an error; where data is lost it begins with the error name of Tahoe-LAFS that clients look for."""
    if isinstance(error, CorruptObjectError) or (is_mutable and isinstance(error, DamageError)):
        return f"UnrecoverableFileError: {error}"
    if isinstance(error, DamageError):
        return f"NoSharesError: {error}"
    return str(error)
