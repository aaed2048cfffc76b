"""`tallac status` as people and monitors use it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from tests.command import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.command import Tallac

JOBS = """
[job.home]
sources = ["{source}"]
target = "tallac:home"
every = "day at 00:00"
delay = "none"

[job.other]
sources = ["{source}/parent"]
target = "tallac:other"
"""


@pytest.fixture
def machine(tallac: Tallac, source: Path) -> Tallac:
    """Give a machine with a vault and two jobs, one of which has a snapshot."""
    tallac("-q", "backup", source, "tallac:home")
    (tallac.home / "config" / "jobs.toml").write_text(JOBS.format(source=source))
    return tallac


def state(tallac: Tallac, *arguments: str, status: int = 0) -> dict[str, dict[str, object]]:
    """Return what is said of each job."""
    records = [json.loads(line) for line in tallac("--json", "status", *arguments, status=status).lines]
    return {record["job"]: record for record in records}


def test_people_see_what_there_is(machine: Tallac) -> None:
    """Each job is named with its newest snapshot, its age and what it holds; all in all in one line at the end."""
    seen = machine("status")
    assert seen.lines[0].split()[:3] == [b"home", b"ok", b"newest"]
    assert seen.lines[0].endswith(b", just now")
    assert b"1 snapshot; 3 files, 4.01 kB; " in seen.out
    assert b" free" in seen.out
    assert b"other  manual       no snapshot" in seen.out
    assert seen.err == "2 jobs: 1 ok, 1 manual\n"
    assert machine("--quiet", "status").out == b""


def age(machine: Tallac, days: int) -> None:
    """Make the file of jobs and the only snapshot older than they are."""
    path = machine.home / "config" / "jobs.toml"
    os.utime(path, (0, path.stat().st_mtime - days * 86_400))
    [name] = [line.decode() for line in machine("ls", "tallac:home/Archives").lines]
    machine("-q", "rm", "--force", f"tallac:home/Archives/{name}")


def test_what_is_overdue_fails(machine: Tallac) -> None:
    """A job whose time has passed without a snapshot is overdue: it says since when and what to do, and the exit status is 1."""
    age(machine, 9)
    found = state(machine, status=1)
    assert found["home"]["health"] == "overdue"
    assert found["home"]["due_ns"]
    assert "tallac run home" in str(found["home"]["advice"])
    assert (found["other"]["health"], found["other"]["ok"]) == ("manual", True)
    shown = machine("--quiet", "status", status=1)
    assert b"home  OVERDUE" in shown.out
    assert b"other" not in shown.out
    assert machine("status", "other").lines[0].split()[:2] == [b"other", b"manual"]


def test_on_another_machine(machine: Tallac, make_tallac: Callable[[Path], Tallac], tmp_path: Path) -> None:
    """A machine that only watches says the same, from the vault; its own records are empty."""
    watcher = make_tallac(tmp_path / "watcher")
    shutil.copytree(machine.home / "config", watcher.home / "config")
    assert not (watcher.home / "state").exists()
    here, there = state(machine)["home"], state(watcher)["home"]
    assert here["snapshot"]
    same = ("health", "snapshot", "started_ns", "files", "bytes", "host", "snapshots", "bytes_stored_lately")
    assert [here[key] for key in same] == [there[key] for key in same]


def test_a_vault_that_is_away(machine: Tallac) -> None:
    """What can't be asked is unreachable, and says why; that is no reason not to tell of other jobs."""
    machine("-q", "create-alias", "usb", "--vault", machine.home / "usb")
    with (machine.home / "config" / "jobs.toml").open("a") as file:
        file.write('[job.away]\nsources = ["/"]\ntarget = "usb:x"\n')
    shutil.rmtree(machine.home / "usb")
    found = state(machine, status=1)
    assert {name: each["health"] for name, each in found.items()} == {"home": "ok", "other": "manual", "away": "unreachable"}
    assert str(machine.home / "usb") in str(found["away"]["problem"])


def test_targets_without_jobs(tallac: Tallac, source: Path) -> None:
    """A target is shown by host and source, and judged by its age where one is given."""
    tallac("-q", "backup", source, "tallac:home", "--host", "laptop")
    tallac("-q", "backup", source, "tallac:home", "--host", "desk")
    found = state(tallac, "tallac:")
    assert set(found) == {f"laptop:{source}", f"desk:{source}"}
    assert {each["target"] for each in found.values()} == {"tallac:home"}
    assert state(tallac, "tallac:home", "--max-age", "2 days")
    assert {each["health"] for each in state(tallac, "tallac:home", "--max-age", "none", status=1).values()} == {"overdue"}


def test_metrics_in_a_file(machine: Tallac, tmp_path: Path) -> None:
    """The file is replaced as a whole, and anybody may read it; where it can't be written, that is said."""
    file = tmp_path / "tallac.prom"
    file.write_text("old")
    file.chmod(0o600)
    machine("status", "--metrics", file)
    text = file.read_text("utf-8")
    assert text.endswith("# EOF\n")
    assert 'tallac_job_healthy{job="home",target="tallac:home"} 1\n' in text
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.glob(".tallac*")) == []
    age(machine, 9)
    machine("status", "--metrics", file, status=1)
    assert 'tallac_job_overdue{job="home",target="tallac:home"} 1\n' in file.read_text("utf-8")
    result = machine("-q", "status", "other", "--metrics", tmp_path / "no" / "such", status=1)
    assert "can't write the metrics" in result.err


def test_mistakes(tallac: Tallac, machine: Tallac) -> None:
    """What makes no sense is said in one line."""
    assert "there are home, other" in machine.fails("status", "hom", status=2)
    assert "name one" in machine.fails("status", "--max-age", "2 days", status=2)
    assert "is not a length of time" in machine.fails("status", "tallac:home", "--max-age", "soon", status=2)


def test_no_jobs(tallac: Tallac) -> None:
    """Without jobs nothing is overdue, and what to do about that is said."""
    assert "`tallac job add`" in tallac("status").err


def fetch(url: str, method: str = "GET") -> tuple[int, str, str]:
    """Ask the gateway, and give status, kind and text."""
    answer = httpx2.request(method, url, timeout=PATIENCE_SECONDS)
    return answer.status_code, answer.headers["content-type"], answer.text


@pytest.mark.slow
@pytest.mark.parametrize("is_asked_for", [True, False])
def test_metrics_over_http(machine: Tallac, is_asked_for: bool) -> None:
    """`serve --metrics` answers with the numbers, and with no cap in them; without the option there is nothing there."""
    served = machine.start("serve", "--port", "0", *(["--metrics"] if is_asked_for else []))
    try:
        assert served.stdout is not None
        url = served.stdout.readline().decode().strip()
        status, kind, text = fetch(f"{url}metrics")
        if not is_asked_for:
            assert status == 404
            return
        assert (status, kind) == (200, "application/openmetrics-text; version=1.0.0; charset=utf-8")
        assert 'tallac_job_healthy{job="home",target="tallac:home"} 1\n' in text
        assert "URI:" not in text
        assert fetch(f"{url}metrics", "DELETE")[0] == 405
        assert fetch(f"{url}metrics/more")[0] == 404
    finally:
        served.terminate()
        served.communicate()
