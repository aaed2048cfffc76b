from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.command import Tallac
from tests.stores.engines import BUCKET, Engine, shared, start_azurite, start_moto, stop
from tests.stores.silent_line import SilentLine, silent_line
from tests.stores.ssh_server import SshServer, start_sshd

from tallac.backends.object_store import ObjectStoreBackend
from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.backends.sftp_session import SftpSettings

FOREIGN = (
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Have nothing of the user's own: no keys, no profiles, no proxy."""
    for name in os.environ:
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give moto, with a bucket."""
    engine = start_moto(tmp_path_factory.mktemp("moto"))
    yield engine
    stop(engine.process)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give Azurite, with a container."""
    engine = start_azurite(tmp_path_factory.mktemp("azurite"))
    yield engine
    stop(engine.process)


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Give a Ceph RADOS gateway, with a bucket; the processes of a test run share it."""
    base = tmp_path_factory.getbasetemp()
    with shared("ceph", base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as engine:
        yield engine


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """Give a prefix of its own to each test."""
    return f"{tmp_path.name.lower().strip('_')}-{os.urandom(4).hex()}"


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch, prefix: str) -> Callable[..., ObjectStoreSettings]:
    """Return a function that names this test's place in an engine, and has its credentials in the environment."""

    def settings_of(engine: Engine, **changes: object) -> ObjectStoreSettings:
        for name, value in engine.environment.items():
            monkeypatch.setenv(name, value)
        account = engine.environment.get("AZURE_STORAGE_ACCOUNT_NAME", "")
        values = {"kind": engine.kind, "bucket": BUCKET, "prefix": prefix, "endpoint": engine.endpoint, "account": account}
        return ObjectStoreSettings(**values | changes)  # type: ignore[arg-type]

    return settings_of


@pytest.fixture
def store_of(settings_of: Callable[..., ObjectStoreSettings]) -> Callable[..., ObjectStoreBackend]:
    """Return a function that opens this test's place in an engine."""
    return lambda engine, **changes: ObjectStoreBackend(settings_of(engine, **changes))


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """Give OpenSSH's server."""
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    stop(server.process)


@pytest.fixture
def sftp_settings(sshd: SshServer, states: Path) -> SftpSettings:
    """Name a folder that is there, as this test's place on it; it is in memory, where a file is durable at once."""
    folder = states / "served"
    folder.mkdir()
    return SftpSettings(
        host="127.0.0.1",
        port=sshd.port,
        path=str(folder),
        identity=str(sshd.folder / "client"),
        known_hosts=str(sshd.folder / "known_hosts"),
        ssh_config=str(sshd.folder / "ssh_config"),
    )


class StoreOnLine(NamedTuple):
    """A store behind a line that may fall silent.

    Attributes:
        line: The line.
        url: Where a vault may be made.
        options: What a command needs beside the URL.
    """

    line: SilentLine
    url: str
    options: tuple[str, ...]


@pytest.fixture(params=["s3", "sftp"])
def store_on_line(
    request: pytest.FixtureRequest, settings_of: Callable[..., ObjectStoreSettings], tmp_path: Path
) -> Iterator[StoreOnLine]:
    """Give one; nothing is there yet."""
    if request.param == "s3":
        engine: Engine = request.getfixturevalue("moto")
        with silent_line(urlsplit(engine.endpoint).port or 80) as line:
            yield StoreOnLine(line, settings_of(engine).where, ("--store", f"endpoint=http://127.0.0.1:{line.port}"))
        return
    server: SshServer = request.getfixturevalue("sshd")
    with silent_line(server.port) as line:
        known = tmp_path / "known_hosts"
        keys = (server.folder / "known_hosts").read_text()
        known.write_text(keys.replace(f":{server.port} ", f":{line.port} "))
        url = server.url(tmp_path / "vault").replace(f":{server.port}/", f":{line.port}/")
        yield StoreOnLine(line, url, (*server.options, "--store", f"known-hosts={known}"))


@pytest.fixture
def line(store_on_line: StoreOnLine, tallac: Tallac) -> SilentLine:
    """Give the line to the store in which this test's vault is."""
    tallac("init", store_on_line.url, *store_on_line.options)
    return store_on_line.line
