"""The one place where an error of the library for object stores becomes one that a user can act on.

The library tells a few kinds apart, and the same fault comes under different ones; the server's status and code stand in the text.
What each looks like was seen on real servers.
"""

from __future__ import annotations

import re

from tallac.backends.object_store_settings import AZURE, ObjectStoreSettings
from tallac.errors import (
    ConflictError,
    ObjectNotFoundError,
    SilentStoreError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StorePermissionError,
    StoreUnavailableError,
    UnsupportedByStoreError,
)

_STATUS = re.compile(r"status code: (\d{3})|status: (\d{3})")
_CODE = re.compile(r"<Code>\s*([A-Za-z0-9]+)\s*</Code>|\"code\":\s*\"?([A-Za-z0-9_]+)")
_OF_THE_MACHINE = re.compile(
    r"Error performing [A-Z]+ http://[^/\s]+/(latest/(api/token|meta-data)|metadata/identity|computeMetadata)"
)

_OF_KEY_PROVIDER = re.compile(r"External AWS credential provider: ConfigurationError: ([^\n]+)")

_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "NoSuchContainer"}
_WRONG_KEY = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
}
_EXPIRED = {"ExpiredToken", "TokenRefreshRequired", "InvalidToken", "ExpiredTokenException"}
_WRONG_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "TemporaryRedirect"}
_WRONG_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_FULL = {
    "QuotaExceeded",
    "QuotaExceededException",
    "InsufficientStorage",
    "StorageQuotaExceeded",
    "XMinioStorageFull",
    "XMinioAdminBucketQuotaExceeded",
}
_LOCKED = {"ObjectLocked", "BlobImmutableDueToPolicy", "BlobImmutableDueToLegalHold", "InvalidObjectState", "WORMProtected"}
_DAMAGED = {"XAmzContentSHA256Mismatch", "BadDigest", "InvalidDigest", "Md5Mismatch"}
_BUSY_STATUSES = {408, 425, 429, 500, 502, 503, 504}


class OutOfRangeError(StoreError):
    """The object ends before the range begins."""


def status_of(text: str) -> int | None:
    """Return the HTTP status in an error's text; None without an answer."""
    found = _STATUS.search(text)
    return int(found[1] or found[2]) if found else None


def code_of(text: str) -> str:
    """Return the server's own word for an error; "" where it gave none."""
    found = _CODE.search(text)
    return (found[1] or found[2]) if found else ""


def store_error(error: BaseException, settings: ObjectStoreSettings, name: str = "") -> StoreError:
    """Return the store's error for one of the library.

    Args:
        error: What the library has raised.
        settings: Where.
        name: The object's name in the backend; "" where the call was about none.
    """
    text = str(error)
    kind, status, code = type(error).__name__, status_of(text), code_of(text)
    where = settings.where
    if status is not None and status < 500 and _OF_THE_MACHINE.search(text):
        # It was not the store that refused, but the machine's own service, which has no credentials for this client.
        return _without_credentials(settings)
    if code in _NO_BUCKET or (status == 404 and not name) or "specified container does not exist" in text:
        word = settings.bucket_word
        return StoreError(f"{where}: no {word} {settings.bucket!r} at {settings.host}; make it there, or correct its name")
    if code in _LOCKED:
        # Azure says so with the status that a conflict has.
        return StoreLockedError(f"{where}: the store keeps this object locked ({code}); try again when its time is over")
    # Some servers answer a conditional put of a name that was deleted with 404, which the library takes for a failed condition.
    if kind in {"AlreadyExistsError", "PreconditionError"}:
        return ConflictError(f"{name} in {where} was changed by somebody else meanwhile: run this again")
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(f"{where} has no object {name}")
    if status is None:
        return _without_answer(error, settings)
    return _refused(settings, status, code) or _failed(text, settings, name)


def has_answered(error: BaseException, settings: ObjectStoreSettings, name: str) -> bool:
    """Whether an error of the library is what the store itself has said, of an object in the backend."""
    return status_of(str(error)) is not None or not isinstance(store_error(error, settings, name), StoreUnavailableError)


def silent_store(settings: ObjectStoreSettings) -> SilentStoreError:
    """Return the error where a store said nothing for too long."""
    return SilentStoreError(f"{settings.where}: {_SILENT.format(host=settings.host)}")


def _failed(text: str, settings: ObjectStoreSettings, name: str) -> StoreError:
    """Return the error where the store knows this client, and could not carry out the request."""
    status, code, where = status_of(text) or 0, code_of(text), settings.where
    shown = f"{status}, {code}" if code else str(status)
    if status == 416 or "Failed to parse value for CONTENT_RANGE" in text:
        return OutOfRangeError(f"{name} in {where} ends before the range that was asked for")
    if status == 501:
        return UnsupportedByStoreError(f"{where}: this store does not support a request that a vault needs (501)")
    if status == 507 or code in _FULL:
        full = f"{where}: the store is full, or your quota is used up; free some space, and run this again"
        return StoreFullError(full, is_refusal=True)
    if code in _DAMAGED:
        return StoreUnavailableError(f"{where}: bytes were damaged on their way to the store ({code}); try again")
    if status in {429, 503} or code == "SlowDown":
        return StoreBusyError(f"{where}: the store is busy ({shown}); try again later, or use fewer connections")
    if status in _BUSY_STATUSES:
        return StoreUnavailableError(f"{where}: the store failed ({shown}); try again later")
    return StoreError(f"{where}: the store refused a request ({shown}); check the location and the store")


def _refused(settings: ObjectStoreSettings, status: int, code: str) -> StoreError | None:
    """Return the error where the store does not know this client, or does not let it do this."""
    where, host = settings.where, settings.host
    if code in _EXPIRED:
        return StorePermissionError(f"{where}: the session token has expired, or is none of {host}'s ({code}); get a new one")
    if code in _WRONG_CLOCK:
        return StorePermissionError(f"{where}: the clocks of this machine and of {host} differ too much ({code}); set the clock")
    if code in _WRONG_REGION:
        region = settings.region or "us-east-1"
        return StoreError(
            f"{where}: the bucket is not in region {region!r} ({code}); give the right one with --store region=REGION"
        )
    if code in _WRONG_KEY:
        return StorePermissionError(f"{where}: {host} does not accept the key ({code}); check {settings.key_names}")
    # Ceph says with 403 that a quota is used up.
    if status in {401, 403} and code not in _FULL:
        return StorePermissionError(
            f"{where}: these credentials may not do this ({code or status}); "
            f"give them the right to it, or check {settings.key_names}"
        )
    return None


def _without_answer(error: BaseException, settings: ObjectStoreSettings) -> StoreError:
    """Return the error where no answer came."""
    text, where, host = str(error), settings.where, settings.host
    if found := _OF_KEY_PROVIDER.search(text):
        # The store was not asked: what had to give new keys has failed, and says how itself.
        return StorePermissionError(found[1])
    if type(error).__name__ in {"PermissionDeniedError", "UnauthenticatedError"}:
        return StorePermissionError(f"{where}: {host} does not accept the credentials; check {settings.key_names}")
    if any(part in text for part in _CREDENTIAL_PLACES):
        # It was not the store that failed to answer, but the place where the library looked for credentials.
        return _without_credentials(settings)
    # A range that begins behind the end of what is in no object at all.
    if "Failed to parse value for CONTENT_RANGE" in text or "Wanted range starting at" in text:
        return OutOfRangeError(f"{where}: an object ends before the range that was asked for")
    for parts, kind, message in _WITHOUT_ANSWER:
        if any(part in text for part in parts):
            return kind(f"{where}: {message.format(host=host)}")
    first_line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return StoreError(f"{where}: the store gave an answer that makes no sense ({first_line[:200]})")


def _without_credentials(settings: ObjectStoreSettings) -> StorePermissionError:
    others = _OTHERS_IN_AZURE if settings.kind == AZURE else ""
    return StorePermissionError(f"{settings.where}: no credentials found; set {settings.key_names}{others}")


_OTHERS_IN_AZURE = (
    ", or AZURE_STORAGE_SAS_TOKEN, or a service principal's AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET; "
    "what `az login` keeps is not read"
)

_CREDENTIAL_PLACES = ("169.254.169.254", "latest/api/token", "metadata/identity", "metadata.google.internal")

_SILENT = "{host} did not answer in time; check the line and the server"

_WITHOUT_ANSWER: tuple[tuple[tuple[str, ...], type[StoreError], str], ...] = (
    (("non-partial response",), StoreError, "the store ignores ranges, so a vault can't be read from it"),
    (
        ("redirect without LOCATION",),
        StoreError,
        "the bucket is in another region; give the right one with --store region=REGION",
    ),
    (
        ("dns error",),
        StoreUnavailableError,
        "there is no host {host}, or its name can't be looked up now; check the endpoint",
    ),
    (
        ("InvalidContentType", "InvalidMessage"),
        StoreError,
        "{host} does not speak TLS; write http:// in the endpoint if it is meant to be without",
    ),
    (
        ("certificate", "Certificate", "UnknownIssuer"),
        StoreError,
        "the certificate of {host} is not trusted; give the authority's with --store ca=FILE",
    ),
    (
        ("ConnectionRefused",),
        StoreUnavailableError,
        "nothing answers at {host} (connection refused); check that the server runs",
    ),
    (("TimedOut", "kind: Timeout"), SilentStoreError, _SILENT),
    (("kind: Connect",), StoreUnavailableError, "{host} can't be reached; check the line and the endpoint"),
    (("HTTP error", "error decoding", "reqwest"), StoreUnavailableError, "the connection to {host} broke; try again"),
)
"""Parts of the library's texts, and their meaning; the first one counts."""
