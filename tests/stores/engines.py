"""Real stores, started on loopback for tests and stopped by them."""

from __future__ import annotations

import atexit
import base64
import contextlib
import email.utils
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.command import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
AZURITE = ROOT / ".azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
CEPH = Path(__file__).parent / "ceph_gateway.sh"

AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Both are the same on every machine; Azure's own tools have them built in."""

BUCKET = "tallac"

_STARTED: dict[int, subprocess.Popen[bytes]] = {}


class Engine(msgspec.Struct, frozen=True):
    """A store that answers.

    Attributes:
        kind: `s3` or `az`.
        endpoint: Its URL.
        environment: What gives its credentials, in the variables that users set.
        process: The process to end.
    """

    kind: str
    endpoint: str
    environment: dict[str, str]
    process: int


def client_of_owner(engine: Engine) -> Any:
    """Return Amazon's own client of an S3 store, with the credentials of the one to whom the buckets belong."""
    import boto3  # type: ignore[import-untyped]  # lazy import: it takes long, and few tests need it

    return boto3.client(
        "s3",
        endpoint_url=engine.endpoint,
        aws_access_key_id=engine.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=engine.environment["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )


def missing(reason: str) -> None:
    """Say that a store can't be had here: that fails a test in CI, and skips it elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """Return a port of loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(command: Sequence[str], port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start a server, and wait until it answers at a port."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"{command[0]} has ended: {log.read_text(errors='replace')}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            _STARTED[process.pid] = process
            # Also where the fixture fails that would stop it.
            atexit.register(stop, process.pid)
            return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"{command[0]} does not answer: {log.read_text(errors='replace')}")


def stop(process: int) -> None:
    """End a server that this process has started, by its id; one that has been ended is no error."""
    started = _STARTED.pop(process, None)
    if started is not None:
        started.terminate()
        started.wait(PATIENCE_SECONDS)


def start_moto(folder: Path) -> Engine:
    """Start moto, which is S3 for tests that need no races."""
    port = free_port()
    code = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = start([sys.executable, "-c", code], port, folder / "moto.log")
    keys = {"AWS_ACCESS_KEY_ID": "KEYID", "AWS_SECRET_ACCESS_KEY": "SECRET"}
    engine = Engine("s3", f"http://127.0.0.1:{port}", keys, process.pid)
    make_bucket(engine, BUCKET)
    return engine


def start_azurite(folder: Path) -> Engine:
    """Start Azure's own emulator of its blob store."""
    if not AZURITE.is_file() or shutil.which("node") is None:
        missing("Azurite is not installed: scripts/azurite.sh does it, with node and npm")
    port = free_port()
    command = ["node", str(AZURITE), "-l", str(folder / "azurite"), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    process = start([*command, "--disableTelemetry", "--silent", "--skipApiVersionCheck"], port, folder / "azurite.log")
    keys = {"AZURE_STORAGE_ACCOUNT_NAME": AZURITE_ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": AZURITE_KEY}
    engine = Engine("az", f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}", keys, process.pid)
    make_bucket(engine, BUCKET)
    return engine


def start_ceph(_folder: Path) -> Engine:
    """Start a Ceph RADOS gateway with a monitor and one OSD. It ends with the process that runs the tests."""
    lacking = [tool for tool in ("radosgw", "ceph-mon", "ceph-osd") if shutil.which(tool) is None]
    if lacking or os.geteuid() != 0:
        missing(f"Ceph needs root and {', '.join(lacking) or 'its tools'}: scripts/system-packages.sh installs them on Debian")
    # A worker of xdist may end before another that uses the gateway as well.
    watched = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    process = subprocess.Popen(
        ["bash", str(CEPH), str(watched)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline().decode().split()
    if len(line) != 3:
        raise AssertionError(f"Ceph did not come up: {process.stderr.read()!r}")
    engine = Engine("s3", line[0], {"AWS_ACCESS_KEY_ID": line[1], "AWS_SECRET_ACCESS_KEY": line[2]}, process.pid)
    make_bucket(engine, BUCKET)
    process.stdout.close()
    process.stderr.close()
    _STARTED[process.pid] = process
    return engine


@contextmanager
def shared(name: str, folder: Path, kind: type[Engine] = Engine) -> Iterator[Engine]:
    """Give an engine that all processes of a test run share; whoever is the last to leave stops it.

    Args:
        name: `ceph`.
        folder: One that these processes share.
        kind: How it is written down.
    """
    users = folder / f"{name}.users"
    with _locked(folder / f"{name}.lock"):
        state: dict[str, Any] = json.loads(users.read_text()) if users.exists() else {"count": 0}
        if state["count"] == 0:
            state["engine"] = msgspec.to_builtins({"ceph": start_ceph}[name](folder))
        state["count"] += 1
        users.write_text(json.dumps(state))
    try:
        yield msgspec.convert(state["engine"], kind)
    finally:
        with _locked(folder / f"{name}.lock"):
            state = json.loads(users.read_text())
            state["count"] -= 1
            users.write_text(json.dumps(state))
            if state["count"] == 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(state["engine"]["process"], signal.SIGTERM)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_bucket(engine: Engine, bucket: str) -> None:
    """Make a bucket or a container; one that is there is no error."""
    date = email.utils.formatdate(usegmt=True)
    if engine.kind == "az":
        path = f"/{AZURITE_ACCOUNT}/{bucket}"
        signed = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-08-06\n/{AZURITE_ACCOUNT}{path}\nrestype:container"
        mark = base64.b64encode(hmac.new(base64.b64decode(AZURITE_KEY), signed.encode(), hashlib.sha256).digest()).decode()
        url = f"{engine.endpoint}/{bucket}?restype=container"
        headers = {
            "x-ms-date": date,
            "x-ms-version": "2021-08-06",
            "Authorization": f"SharedKey {AZURITE_ACCOUNT}:{mark}",
            "Content-Length": "0",
        }
    else:
        key, secret = engine.environment["AWS_ACCESS_KEY_ID"], engine.environment["AWS_SECRET_ACCESS_KEY"]
        signed = f"PUT\n\n\n{date}\n/{bucket}"
        mark = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        url = f"{engine.endpoint}/{bucket}"
        headers = {"Date": date, "Authorization": f"AWS {key}:{mark}", "Content-Length": "0"}
    request = urllib.request.Request(url, method="PUT", headers=headers)  # noqa: S310 - it is this machine's.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise AssertionError(f"{url}: {error.code} {error.read()!r}") from error
