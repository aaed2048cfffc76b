from __future__ import annotations

import os
import random
import signal
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.command import Tallac

# No property is about time: on a machine that does other things as well, any example may take long. Examples are the same in each
# run, as seeds are, except that a long run makes up new ones.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize="TALLAC_TORTURE" not in os.environ,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")

# What tests make has the usual modes, whatever its user's umask takes away elsewhere.
os.umask(0o022)

# nohup, and a shell that starts something in the background, have signals ignored, which every command of a test would inherit. A
# handler is not inherited.
for number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGTERM)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda _number, _frame: None)


@pytest.fixture(scope="session")
def make_tallac() -> Callable[[Path], Tallac]:
    """Give the command for a home."""
    return Tallac


@pytest.fixture
def tallac(tmp_path: Path) -> Tallac:
    """Give the command, with an empty home."""
    return Tallac(tmp_path / "home")


@pytest.fixture
def states() -> Iterator[Path]:
    """Give a folder for the states of clients that are many, in memory where that can be; nothing of it has to last."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Give a small source: an empty directory, and files in others."""
    folder = tmp_path / "source"
    (folder / "empty").mkdir(parents=True)
    (folder / "parent" / "subdir").mkdir(parents=True)
    (folder / "parent" / "subdir" / "foo.txt").write_text("foo")
    (folder / "parent" / "subdir" / "bar.txt").write_text("bar\n" * 1000)
    (folder / "parent" / "blah.txt").write_text("blah")
    return folder


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Give a seed that a failure's report names. It is the same in each run, except that long tests make up a new one."""
    node = request.node
    assert isinstance(node, pytest.Item)
    given = os.environ.get("TALLAC_SEED")
    if given is not None:
        seed = int(given)
    elif node.get_closest_marker("torture"):
        seed = int.from_bytes(os.urandom(4), "big")
    else:
        seed = zlib.crc32(node.name.encode())
    node.add_report_section("call", "seed", f"TALLAC_SEED={seed} replays this test")
    return seed


@pytest.fixture
def chance(seed: int) -> random.Random:
    """Give a source of chance with that seed."""
    return random.Random(seed)
