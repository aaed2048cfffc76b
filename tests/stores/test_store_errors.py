"""What a user reads when something is wrong with a place, a key or a line: one line, soon, that names the place and the remedy."""

from __future__ import annotations

import io
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.stores.engines import BUCKET, Engine, free_port
from tests.stores.rough_line import Fate, rough_line

from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_calls import StoreCalls
from tallac.backends.object_store_errors import store_error
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.errors import (
    ConfigurationError,
    ObjectNotFoundError,
    StoreBusyError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StorePermissionError,
    StoreUnavailableError,
    TallacError,
)
from tallac.interfaces import Expect

CALLS: dict[str, Callable[[ObjectStoreBackend], object]] = {
    "get": lambda store: store.get("a"),
    "get a range": lambda store: store.get("a", 1, 2),
    "get with version": lambda store: store.get_versioned("a"),
    "list": lambda store: list(store.list("a")),
    "put": lambda store: store.put("a", b"x"),
    "create": lambda store: store.put("a", b"x", expect=Expect.ABSENT),
    "swap": lambda store: store.put("a", b"x", expect=b'"tag"'),
    "add": lambda store: store.add("a", io.BytesIO(b"x"), 1),
    "delete": lambda store: store.delete("a"),
}

WRONG = "wrong-secret"

StoreOf = Callable[..., ObjectStoreBackend]


def fails(call: Callable[[], object], kind: type[TallacError] = StoreError) -> str:
    """Return the one line that a call fails with."""
    with pytest.raises(kind) as raised:
        call()
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 400
    assert WRONG not in message
    return message


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("engine", ["moto", "azurite", pytest.param("ceph", marks=pytest.mark.slow)])
def test_a_bucket_that_is_not_there(
    request: pytest.FixtureRequest, store_of: StoreOf, engine: str, call: Callable[[ObjectStoreBackend], object]
) -> None:
    """It is never taken for an object that is not there, and its name and the server's are told."""
    store = store_of(request.getfixturevalue(engine), bucket="no-such-bucket")
    message = fails(lambda: call(store))
    assert "'no-such-bucket' at 127.0.0.1:" in message
    with pytest.raises(StoreError) as raised:
        call(store)
    assert not isinstance(raised.value, ObjectNotFoundError)


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_wrong_key(
    ceph: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    call: Callable[[ObjectStoreBackend], object],
) -> None:
    """Whatever is asked first, the variables to look at are named."""
    settings = settings_of(ceph)
    monkeypatch.setenv(variable, WRONG)
    message = fails(lambda: call(ObjectStoreBackend(settings)), StorePermissionError)
    assert message.startswith(f"s3://{BUCKET}/")
    assert "does not accept the key" in message
    assert "AWS_SECRET_ACCESS_KEY" in message


def test_a_wrong_key_of_azure(
    azurite: Engine, settings_of: Callable[..., ObjectStoreSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, with Azure's variables."""
    settings = settings_of(azurite)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "U0VDUkVU")
    for call in CALLS.values():
        store = ObjectStoreBackend(settings)
        assert "AZURE_STORAGE_ACCOUNT_KEY" in fails(lambda call=call, store=store: call(store), StorePermissionError)  # type: ignore[misc]


def test_half_a_pair_of_keys(
    moto: Engine, settings_of: Callable[..., ObjectStoreSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is named, before anything is asked."""
    settings = settings_of(moto)
    for name, other in (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")):
        with monkeypatch.context() as patch:
            patch.delenv(name)
            message = fails(lambda: ObjectStoreBackend(settings).get("a"), ConfigurationError)
        assert f"{other} is set and {name} is not" in message


def test_no_keys_at_all(moto: Engine, settings_of: Callable[..., ObjectStoreSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library would ask the machine's own service for keys and there is none, what to set is said."""
    settings = settings_of(moto)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    message = fails(lambda: ObjectStoreBackend(settings).get("a"), StorePermissionError)
    assert "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message


@pytest.mark.parametrize("status", [403, 404])
def test_a_machine_without_keys_of_its_own(
    moto: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    other_server: Callable[[bytes], int],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
) -> None:
    """What the machine's own service answers is not taken for the store's: no bucket is missing, and no right."""
    settings = settings_of(moto)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    port = other_server(b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{port}")
    for name in ("get", "list"):
        message = fails(lambda name=name: CALLS[name](ObjectStoreBackend(settings)), StorePermissionError)  # type: ignore[misc]
        assert "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in message


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        "sso_session = corp",
        "login_session = arn:aws:iam::1:user/x",
        "role_arn = arn:aws:iam::1:role/x",
        "credential_source = Environment",
        "web_identity_token_file = /x",
    ],
)
def test_a_profile_of_a_kind_that_is_not_read(
    moto: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    line: str,
    *,
    is_named: bool,
) -> None:
    """It is named, with the ways to use it nevertheless; to set variables is none where the place names a profile."""
    settings = settings_of(moto, profile="work" if is_named else "")
    if not is_named:
        monkeypatch.setenv("AWS_PROFILE", "work")
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    config = tmp_path / "config"
    config.write_text(f"[profile work]\n{line}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    message = fails(lambda: ObjectStoreBackend(settings).get("a"), ConfigurationError)
    assert f"profile 'work' has {line.partition(' ')[0]}, which Tallac does not read" in message
    assert ('run `eval "$(aws configure export-credentials --profile work --format env)"`' in message) is not is_named
    assert "`credential_process = aws configure export-credentials --profile work --format process`" in message


def test_an_azure_login_of_a_browser(settings_of: Callable[..., ObjectStoreSettings], moto: Engine) -> None:
    """Who has logged in with `az` alone is told what is read in its place."""
    settings = settings_of(moto, kind="az", account="account")
    error = OSError("Error performing GET http://169.254.169.254/metadata/identity/oauth2/token in 2s - HTTP error")
    message = str(store_error(error, settings))
    for name in ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_CLIENT_SECRET", "`az login`"):
        assert name in message


LIBRARY_PAUSE_SECONDS = 0.3
"""More than the library waits until it asks for keys again."""


def test_keys_that_are_not_renewed(
    moto: Engine, settings_of: Callable[..., ObjectStoreSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where a profile's program gives no new keys, that is said, and not that the store has refused the old ones."""
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    keys = {"Version": 1, "AccessKeyId": "key", "SecretAccessKey": "secret", "Expiration": soon}
    (tmp_path / "keys").write_text(json.dumps(keys))
    (tmp_path / "config").write_text(f"[profile asks]\ncredential_process = cat {tmp_path}/keys\n")
    settings = settings_of(moto, profile="asks")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    store = ObjectStoreBackend(settings)
    store.put("a", b"x")
    (tmp_path / "keys").write_text(json.dumps(keys | {"Expiration": "2026-01-01T00:00:00Z"}))
    time.sleep(LIBRARY_PAUSE_SECONDS)  # There is nothing to be seen of it until then.
    store.put("a", b"x")
    (tmp_path / "keys").unlink()
    time.sleep(LIBRARY_PAUSE_SECONDS)  # There is nothing to be seen of it until then.
    for name in ("get", "list"):
        message = fails(lambda name=name: CALLS[name](store), StorePermissionError)  # type: ignore[misc]
        assert message.endswith("the credential_process of profile 'asks' gave no credentials; run it by itself to see why")


def test_a_server_that_is_down(store_of: StoreOf, moto: Engine) -> None:
    """Its host and port are named, and that nothing answers there."""
    port = free_port()
    for call in CALLS.values():
        store = store_of(moto, endpoint=f"http://127.0.0.1:{port}")
        message = fails(lambda call=call, store=store: call(store), StoreUnavailableError)  # type: ignore[misc]
        assert f"nothing answers at 127.0.0.1:{port} (connection refused)" in message


def test_a_host_that_does_not_exist(store_of: StoreOf, moto: Engine) -> None:
    """The name that can't be looked up is told."""
    message = fails(lambda: store_of(moto, endpoint="http://no-such-host.invalid").get("a"), StoreUnavailableError)
    assert "there is no host no-such-host.invalid" in message


@pytest.fixture
def other_server() -> Iterator[Callable[[bytes], int]]:
    """Return a function that starts a server which says something else, and gives its port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        connection.recv(65536)
                        connection.sendall(answer)
                    except OSError:
                        continue

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(60)


def test_a_server_of_another_kind(store_of: StoreOf, moto: Engine, other_server: Callable[[bytes], int]) -> None:
    """What speaks no HTTP, or no TLS, is an error in one line."""
    port = other_server(b"220 mail.example.org ESMTP\r\n")
    fails(lambda: store_of(moto, endpoint=f"http://127.0.0.1:{port}").get("a"))
    message = fails(lambda: store_of(moto, endpoint=moto.endpoint.replace("http://", "https://")).get("a"))
    assert "does not speak TLS; write http://" in message


def test_certificates_that_are_none(store_of: StoreOf, moto: Engine, tmp_path: Path) -> None:
    """A file with certificates is read before it is used."""
    assert ssl.OPENSSL_VERSION
    (tmp_path / "ca.pem").write_text("no certificate")
    message = fails(lambda: store_of(moto, ca_file=str(tmp_path / "ca.pem")).get("a"), ConfigurationError)
    assert str(tmp_path / "ca.pem") in message
    assert "PEM" in message
    fails(lambda: store_of(moto, ca_file=str(tmp_path / "none.pem")).get("a"), ConfigurationError)


ANSWERS: dict[str, tuple[int, bytes, type[StoreError], str]] = {
    "expired token": (400, b"<Error><Code>ExpiredToken</Code></Error>", StorePermissionError, "token has expired"),
    "wrong region": (
        400,
        b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-9</Region></Error>",
        StoreError,
        "not in region 'us-east-1' (AuthorizationHeaderMalformed); give the right one with --store region=REGION",
    ),
    "moved": (301, b"<Error><Code>PermanentRedirect</Code></Error>", StoreError, "--store region=REGION"),
    "clock": (403, b"<Error><Code>RequestTimeTooSkewed</Code></Error>", StorePermissionError, "set the clock"),
    "not allowed": (403, b"<Error><Code>AccessDenied</Code></Error>", StorePermissionError, "these credentials may not do this"),
    "locked": (403, b"<Error><Code>ObjectLocked</Code></Error>", StoreLockedError, "keeps this object locked"),
    "locked, as Azure says it": (
        409,
        b"<Error><Code>BlobImmutableDueToPolicy</Code></Error>",
        StoreLockedError,
        "keeps this object locked",
    ),
    "full": (507, b"", StoreFullError, "the store is full"),
    "quota, as Ceph says it": (403, b"<Error><Code>QuotaExceeded</Code></Error>", StoreFullError, "your quota is used up"),
    "quota, as MinIO says it": (
        400,
        b"<Error><Code>XMinioAdminBucketQuotaExceeded</Code></Error>",
        StoreFullError,
        "your quota is used up",
    ),
    "damaged": (400, b"<Error><Code>XAmzContentSHA256Mismatch</Code></Error>", StoreUnavailableError, "damaged on their way"),
    "busy": (503, b"<Error><Code>SlowDown</Code></Error>", StoreBusyError, "busy (503, SlowDown)"),
    "too many": (429, b"", StoreBusyError, "busy (429)"),
    "unknown": (418, b"", StoreError, "refused a request (418)"),
    "not supported": (501, b"<Error><Code>NotImplemented</Code></Error>", StoreError, "does not support a request"),
}


@pytest.mark.parametrize("case", ANSWERS.values(), ids=list(ANSWERS))
def test_what_servers_answer(
    moto: Engine,
    store_of: StoreOf,
    other_server: Callable[[bytes], int],
    case: tuple[int, bytes, type[StoreError], str],
) -> None:
    """Each status and code of a server has its own line, for reads, listings and puts alike."""
    status, body, kind, words = case
    port = other_server(b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))
    for name in ("get", "list", "create", "delete"):
        message = fails(lambda name=name: CALLS[name](store_of(moto, endpoint=f"http://127.0.0.1:{port}")), kind)  # type: ignore[misc]
        # The place is named after this test's case.
        assert words in message.partition(": ")[2]
        assert message.startswith(f"s3://{BUCKET}/")


def test_a_line_that_stalls(moto: Engine, store_of: StoreOf) -> None:
    """A server that says nothing more is told apart from one that is not there."""
    with rough_line(moto.endpoint, lambda _method, _path: Fate.STALLED) as line:
        settings = store_of(moto, endpoint=line.url).settings
        store = ObjectStoreBackend(settings, make_calls=lambda s, t: StoreCalls(s, t, read_timeout_seconds=0.2))
        assert "did not answer in time" in fails(lambda: store.get("a"), StoreUnavailableError)
        assert "did not answer in time" in fails(lambda: store.put("a", b"x"), StoreUnavailableError)
