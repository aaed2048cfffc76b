from __future__ import annotations

import os
import random
import signal
import sys
import typing
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.command import Tallac
from tests.in_memory import folder_in_memory, memory

TESTS = Path(__file__).parent

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

# Python 3.11 works out at each `isinstance` of a protocol which attributes that has: a twentieth of the time of many clients in one
# process. From 3.12 on it remembers them.
if sys.version_info < (3, 12):
    typing._get_protocol_attrs = cache(typing._get_protocol_attrs)  # type: ignore[attr-defined]

# What tests store has to outlast no process. On a disk they wait for it half of their time, and the system needs a quarter more.
# Where a real disk's behaviour is what is tested, `tmp_path` is a folder on one; see tests/on_disk.py.
if (in_memory := memory()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(in_memory))

SLOW_FOLDERS = {
    "crash": "a whole vault is gone through after each of its backend's calls",
    "end_to_end": "commands are started, killed and traced as users' are, on real file systems",
    "interop": "real Tahoe-LAFS nodes, gateways and commands",
    "stores": "real stores are started, and vaults are kept in them",
    "stateful": "hundreds of schedules of clients that work side by side",
}
"""Folders that `make test-fast` leaves out, each with what takes the time; elsewhere `@pytest.mark.slow` stands at a test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests in slow folders."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that `make durations` uses."""
    parser.addoption("--durations-file", type=Path, help="Write how long each test took, set-up included, the slowest first.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write the list of durations, where it was asked for."""
    path = config.getoption("--durations-file")
    if path is None:
        return
    seconds: dict[str, float] = defaultdict(float)
    slow: set[str] = set()
    for report in chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport):
            seconds[report.nodeid] += report.duration
            if "slow" in report.keywords:
                slow.add(report.nodeid)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for nodeid, taken in sorted(seconds.items(), key=lambda item: -item[1]):
            file.write(f"{taken:8.2f} {'slow' if nodeid in slow else '    '} {nodeid}\n")


@pytest.fixture
def null_device(tmp_path: Path) -> Path:
    """Give a device that swallows everything; root, who could replace the machine's own, gets another one."""
    if os.geteuid():
        return Path("/dev/null")
    path = tmp_path / "null device"
    os.mknod(path, 0o20666, os.stat("/dev/null").st_rdev)
    return path


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
    with folder_in_memory() as folder:
        yield folder


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
