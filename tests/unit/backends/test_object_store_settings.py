"""Where requests to an object store go: where the user said, and to the provider's own servers where they said nothing."""

from __future__ import annotations

import base64
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from tallac.app.locations.store_urls import with_context
from tallac.backends.object_store_credentials import S3Keys
from tallac.backends.object_store_settings import ObjectStoreSettings, open_store
from tallac.errors import ConfigurationError, StoreError, UsageError

KEY = base64.b64encode(b"key").decode()
CHINA = f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn"


def endpoint_of(settings: ObjectStoreSettings) -> str:
    """Return what the library was told of the server."""
    store = open_store(settings, 1.0)
    assert not isinstance(store, MemoryStore)
    found = {key: value for key, value in store.config.items() if "endpoint" in key or "base_url" in key}
    assert len(found) == 1, found
    return str(next(iter(found.values())))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ObjectStoreSettings(kind="az", bucket="b", account="acct"), "https://acct.blob.core.windows.net"),
        (ObjectStoreSettings(kind="az", bucket="b", account="acct", endpoint="https://az.example"), "https://az.example"),
        (ObjectStoreSettings(kind="gs", bucket="b"), "https://storage.googleapis.com"),
        (ObjectStoreSettings(kind="gs", bucket="b", endpoint="https://gs.example"), "https://gs.example"),
        (ObjectStoreSettings(kind="s3", bucket="b"), "https://s3.us-east-1.amazonaws.com"),
        (ObjectStoreSettings(kind="s3", bucket="b", endpoint="https://s3.example"), "https://s3.example"),
    ],
)
def test_no_variable_sends_a_vault_elsewhere(settings: ObjectStoreSettings, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library reads variables of its own for the server; it is always told one, which comes first."""
    for name in ("AZURE_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, "http://astray.example")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=acct;AccountKey={KEY};BlobEndpoint=http://astray.example")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEYID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    assert endpoint_of(settings) == expected


@pytest.mark.parametrize(
    ("location", "connection", "expected"),
    [
        ("az://c/v", CHINA, "az://c/v?account=acct&endpoint=https://acct.blob.core.chinacloudapi.cn"),
        ("az://c/v", CHINA.replace("chinacloudapi.cn", "windows.net"), "az://c/v?account=acct"),
        ("az://c/v", "AccountName=acct;EndpointSuffix=;AccountKey=x", "az://c/v?account=acct"),
        (
            "az://c/v",
            "AccountName=acct;BlobEndpoint=http://127.0.0.1:1/acct/;AccountKey=x",
            "az://c/v?account=acct&endpoint=http://127.0.0.1:1/acct",
        ),
        ("az://c/v?account=other", CHINA, "az://c/v?account=other"),
        ("az://c/v?endpoint=https://az.example", CHINA, "az://c/v?account=acct&endpoint=https://az.example"),
    ],
)
def test_the_server_in_a_connection_string_is_remembered(
    location: str, connection: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A string that Azure's portal shows names the server too; it counts when a location is first written, and for its account."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    assert with_context(location) == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://acct.example/?sig=SECRET",
        "https://u:SECRET@acct.example",
        "u:SECRET@acct.example",
        "https://?SECRET",
        "http://[SECRET@",
    ],
)
def test_a_connection_string_with_a_strange_server(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be remembered is refused, and a message has no secret of it."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=acct;BlobEndpoint={endpoint}")
    with pytest.raises(UsageError, match="endpoint") as raised:
        with_context("az://c/v")
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"type": "external_account"}', None])
def test_credentials_of_google_that_cannot_be_read(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable and the file are named, and what has to be in it."""
    path = tmp_path / "credentials.json"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(ConfigurationError, match=f"gs://b: GOOGLE_APPLICATION_CREDENTIALS names {path}, which"):
        open_store(ObjectStoreSettings(kind="gs", bucket="b"), 1.0)


def test_a_key_of_azure_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be a key is told with the variable to look at."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "A")
    with pytest.raises(StoreError, match=r"Invalid Access Key.*AZURE_STORAGE_ACCOUNT_KEY"):
        open_store(ObjectStoreSettings(kind="az", bucket="b", account="acct"), 1.0)


PROGRAM = """
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
number = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(number))
keys = {"Version": 1, "AccessKeyId": f"key {number}", "SecretAccessKey": "s", "SessionToken": "t"}
print(json.dumps(keys | ({"Expiration": sys.argv[2]} if len(sys.argv) > 2 else {})))
"""


def profile_with_program(folder: Path, monkeypatch: pytest.MonkeyPatch, expiration: str) -> Path:
    """Make a profile, `asks`, whose program numbers the keys that it gives up to a time, "" for ever; return the program."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    (folder / "config").write_text(f"[profile asks]\ncredential_process = {sys.executable} {program} {folder}/count {expiration}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
    return program


@pytest.mark.parametrize(("expiration", "ids"), [("2026-01-01T13:00:00Z", ["key 1", "key 1", "key 2"]), ("", ["key 1"] * 3)])
def test_keys_that_expire_are_found_anew(expiration: str, ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile's program is run once, and again shortly before what it gave is over, so that a long backup goes on."""
    profile_with_program(tmp_path, monkeypatch, expiration)
    now = [datetime(2026, 1, 1, 12, tzinfo=UTC)]
    keys = S3Keys("asks", "s3://b", now=lambda: now[0])
    seen = []
    for minutes in (0, 54, 56):
        now[0] = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(minutes=minutes)
        found = keys()
        assert found is not None
        assert (found.expires_at is None) == (not expiration)
        seen.append(found.key_id)
    assert seen == ids


def test_keys_that_can_not_be_renewed_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a profile's program fails shortly before the keys expire, they are used up to then, and it is asked again."""
    program = profile_with_program(tmp_path, monkeypatch, "2026-01-01T13:00:00Z")
    now = [datetime(2026, 1, 1, 12, tzinfo=UTC)]
    keys = S3Keys("asks", "s3://b", now=lambda: now[0])
    found = keys()
    program.write_text("raise SystemExit(1)")
    now[0] = datetime(2026, 1, 1, 12, 59, tzinfo=UTC)
    assert keys() == found is not None
    now[0] = datetime(2026, 1, 1, 13, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="credential_process"):
        keys()
    program.write_text(PROGRAM)
    renewed = keys()
    assert renewed is not None
    assert renewed.key_id == "key 2"
