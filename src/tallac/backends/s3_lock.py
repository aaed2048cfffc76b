"""S3's Object Lock: two kinds of requests that the library for object stores has no way to make, and that are signed here.

A lock is on one version of an object: until its day comes nobody deletes that version, but for administrators with a right of
their own (mode GOVERNANCE). The signature is version 4 of the one that S3 documents; the tests ask Ceph's gateway, which checks it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast
from urllib.parse import quote, urlsplit

from tallac.backends.object_store_credentials import Credentials, S3Keys
from tallac.backends.object_store_settings import REGION_DEFAULT, S3, ObjectStoreSettings, s3_endpoint
from tallac.backends.traffic import Traffic
from tallac.errors import (
    ConfigurationError,
    ObjectNotFoundError,
    StoreError,
    StorePermissionError,
    StoreUnavailableError,
    UsageError,
)

TIMEOUT_SECONDS = 60.0
_UNTIL = "x-amz-object-lock-retain-until-date"
_ENABLED = b"<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
_BODY = (
    '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>GOVERNANCE</Mode>'
    "<RetainUntilDate>{until}</RetainUntilDate></Retention>"
)


class S3Lock:
    """The locks of the objects in one bucket. Thread-safe; can be sent to other processes. Nothing is tried again here."""

    def __init__(
        self, settings: ObjectStoreSettings, traffic: Traffic | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Ask nothing yet.

        Raises:
            UsageError: It is another kind of store.
        """
        if settings.kind != S3:
            raise UsageError(f"{settings.where}: only S3 has locks that Tallac can set; leave out --lock-for")
        self._settings = settings
        self._traffic = traffic or Traffic()
        self._clock = clock
        self._keys = S3Keys(settings.profile, settings.where)

    def __reduce__(self) -> tuple[type[S3Lock], tuple[ObjectStoreSettings, Traffic]]:
        """Return what another process needs; no secret is in it."""
        return S3Lock, (self._settings, self._traffic)

    def is_on(self) -> bool:
        """Whether the bucket has Object Lock."""
        status, body = self._ask("GET", "", "object-lock", b"")
        if status == 404:
            return False
        self._require(status, body)
        return _ENABLED in body

    def until(self, name: str) -> float | None:
        """Return up to when the present version of an object is locked, in seconds since 1970; None where it is not.

        Raises:
            ObjectNotFoundError: There is no such object.
        """
        status, body = self._ask("HEAD", name, "", b"")
        if status == 404:
            raise ObjectNotFoundError(f"{self._settings.where} has no object {name}")
        self._require(status, body)
        return datetime.fromisoformat(body.decode()).timestamp() if body else None

    def lock(self, name: str, until: float) -> None:
        """Lock the present version of an object up to a moment, in seconds since 1970; a longer lock stays.

        Raises:
            ObjectNotFoundError: There is no such object.
            StorePermissionError: These credentials may not.
        """
        moment = datetime.fromtimestamp(int(until), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status, body = self._ask("PUT", name, "retention", _BODY.format(until=moment).encode())
        if status == 404:
            raise ObjectNotFoundError(f"{self._settings.where} has no object {name}")
        if status == 403:
            # A longer lock can't be made shorter, and needs not be.
            with suppress(StorePermissionError):
                if (self.until(name) or 0) >= int(until):
                    return
        self._require(status, body)

    def _require(self, status: int, body: bytes) -> None:
        if status < 300:
            return
        where = self._settings.where
        code = re.search(rb"<Code>([A-Za-z0-9]+)</Code>", body)
        shown = code[1].decode() if code else str(status)
        if status in {401, 403}:
            raise StorePermissionError(f"{where}: these credentials may not lock objects ({shown}); allow s3:PutObjectRetention")
        if status >= 500 or status in {408, 429}:
            raise StoreUnavailableError(f"{where}: the store failed ({shown}); try again later")
        raise StoreError(f"{where}: the store did not lock an object ({shown}); see whether its bucket has Object Lock")

    def _ask(self, method: str, name: str, query: str, body: bytes) -> tuple[int, bytes]:
        """Make one request, and return the status and the content; for HEAD, up to when the object is locked, as it is written."""
        settings = self._settings
        path = "" if settings.is_virtual_hosted else f"/{settings.bucket}"
        if name:
            path += f"/{settings.prefix}/{name}" if settings.prefix else f"/{name}"
        url = s3_endpoint(settings)
        base = urlsplit(url)
        credentials = self._keys()
        if credentials is None:
            raise ConfigurationError(
                f"{settings.where}: --lock-for needs keys in the environment or in a profile, and not those of the machine"
            )
        path = quote(base.path.rstrip("/") + (path or "/"), safe="/-_.~")
        headers = self._signed(method, base.netloc, path, query, body, credentials)
        request = urllib.request.Request(  # noqa: S310 - the endpoint's scheme was checked to be http or https.
            f"{base.scheme}://{base.netloc}{path}{'?' if query else ''}{query}",
            data=body if method == "PUT" else None,
            headers=headers,
            method=method,
        )
        self._traffic.add(sent=len(body))
        context = ssl.create_default_context()
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
        try:
            with self._traffic.asking(), self._answer(request, context if base.scheme == "https" else None) as answer:
                return answer.status, answer.headers.get(_UNTIL, "").encode() if method == "HEAD" else answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise StoreUnavailableError(f"{settings.where}: {settings.host} can't be reached ({error}); check the line") from error

    @staticmethod
    def _answer(request: urllib.request.Request, context: ssl.SSLContext | None) -> http.client.HTTPResponse:
        """Return the answer to a request, also where its status says that it failed."""
        try:
            return cast(
                "http.client.HTTPResponse",
                urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context),  # noqa: S310 - as above.
            )
        except urllib.error.HTTPError as error:
            return cast("http.client.HTTPResponse", error)

    def _signed(self, method: str, host: str, path: str, query: str, body: bytes, credentials: Credentials) -> dict[str, str]:
        """Return the headers of a request, with its signature."""
        moment = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
        if body:
            headers["content-md5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        if credentials.token:
            headers["x-amz-security-token"] = credentials.token
        names = sorted(headers)
        signed = ";".join(names)
        lines = [method, path, f"{query}=" if query else "", *(f"{name}:{headers[name]}" for name in names), "", signed, digest]
        scope = f"{moment[:8]}/{self._settings.region or REGION_DEFAULT}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
        key = b"AWS4" + credentials.secret.encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        # Without it Python's library calls the body a form's.
        headers["content-type"] = "application/xml"
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={signed}, Signature={key.hex()}"
        )
        return headers
