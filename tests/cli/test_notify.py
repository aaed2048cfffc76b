"""`tallac notify-test`, and what a file of jobs may say of whom to notify."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tallac.app.client import Client
from tallac.app.configuration.folders import Folders
from tallac.jobs.records import JobRecords, Outcome, RunRecord, Step, StepRecord

if TYPE_CHECKING:
    from tests.command import Tallac

NOBODY = "http://127.0.0.1:1/ping/secret-token"


def write_jobs(tallac: Tallac, *lines: str) -> None:
    """Write a file of jobs with one job, which has these lines too."""
    folder = tallac.home / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jobs.toml").write_text("\n".join(['[job.home]\nsources = ["/"]\ntarget = "usb:home"', *lines]))


def test_an_address_that_can_not_be_reached(tallac: Tallac) -> None:
    """It is named without what may be a password, with the reason, and the exit status is 1."""
    write_jobs(tallac, f'notify = ["{NOBODY}"]')
    message = tallac.fails("notify-test")
    assert message.startswith("tallac: http://127.0.0.1/...: can't notify: ")
    assert "secret-token" not in message
    [record] = [json.loads(line) for line in tallac("--json", "notify-test", status=1).lines]
    assert record["ok"] is False
    assert "secret-token" not in json.dumps(record)


def test_a_service_that_does_not_exist(tallac: Tallac) -> None:
    """A scheme that apprise does not know is no service."""
    write_jobs(tallac, 'notify = ["nonsense://secret@example.org"]')
    assert "no service has such an address" in tallac.fails("notify-test", "home")


def test_nobody_to_notify(tallac: Tallac) -> None:
    """Where no job notifies anybody, that is said with what to write."""
    write_jobs(tallac)
    assert 'notify = ["ntfy://' in tallac.fails("notify-test", status=2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('notify = ["ann@example.org"]', "line 4: job.home.notify: one of these is no address"),
        ('notify_on = ["failures"]', "line 4: job.home.notify_on: 'failures' is no occasion; did you mean failure?"),
        ('notify_on = ["xyz"]', "write one or more of failure, overdue, recovery, anomaly, success, always"),
    ],
)
def test_mistakes_in_the_file(tallac: Tallac, line: str, message: str) -> None:
    """What makes no sense is named with its place, and an address never with what it says."""
    write_jobs(tallac, line)
    said = tallac.fails("notify-test")
    assert message in said
    assert "ann@" not in said


class Listener:
    """Notes what it is asked for, on this machine."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            """Answers one request."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                outer.asked.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class.
                """Be silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.place = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()

    def take(self) -> list[str]:
        """Return what was asked for since the last time: the path of a ping, the title of a message."""
        asked, self.asked = self.asked, []
        return [json.loads(body)["title"] if path == "/hook" else path for path, body in asked]


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Give a listener."""
    made = Listener()
    yield made
    made.close()


def job(tallac: Tallac, source: Path, *lines: str) -> None:
    """Write one job that notifies the listener in both ways."""
    folder = tallac.home / "config"
    folder.mkdir(parents=True, exist_ok=True)
    text = [f'[job.docs]\nsources = ["{source}"]\ntarget = "tallac:docs"\nevery = "day at 00:00"\ndelay = "none"', *lines]
    (folder / "jobs.toml").write_text("\n".join(text))


def test_a_job_is_heard_when_it_matters(tallac: Tallac, source: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run is pinged; a message is sent for the first failure, none for the second, one for the recovery, none after that."""
    monkeypatch.setenv("TALLAC_HOST", "laptop")
    addresses = f'notify = ["http://{listener.place}/ping", "json://{listener.place}/hook"]'
    job(tallac, source, addresses)
    tallac("run", "docs")
    assert listener.take() == ["/ping/start", "/ping"]
    job(tallac, source, addresses, 'before = ["exit 3"]')
    tallac("run", "docs", status=1)
    pinged_and_said = listener.take()
    assert pinged_and_said[0] == "/ping/start"
    assert "/ping/fail" in pinged_and_said
    assert [title.split(" on ")[0] for title in pinged_and_said if title.startswith("Backup")] == ["Backup docs"]
    tallac("run", "docs", status=1)
    assert sorted(listener.take()) == ["/ping/fail", "/ping/start"]
    job(tallac, source, addresses)
    tallac("run", "docs")
    assert [each for each in listener.take() if each.endswith("works again")]
    tallac("run", "docs")
    assert listener.take() == ["/ping/start", "/ping"]


def test_a_notifier_that_fails_fails_no_backup(tallac: Tallac, source: Path) -> None:
    """What can't be reached is named, and the run is as good as it is."""
    job(tallac, source, f'notify = ["{NOBODY}", "nonsense://secret@x"]\nnotify_on = ["always"]')
    result = tallac("run", "docs")
    assert result.err.count("can't notify") == 3
    assert "secret" not in result.err
    assert tallac("snapshots", "tallac:docs").lines


def test_an_overdue_job_is_heard(tallac: Tallac, source: Path, listener: Listener) -> None:
    """A job that has to wait and has no snapshot is told once a day, by the runs that do not run it."""
    tallac("-q", "create-alias", "tallac")
    job(tallac, source, f'notify = ["json://{listener.place}/hook"]\non_battery = false')
    records = JobRecords(tallac.home / "state")
    day = 86_400 * 10**9
    old = time.time_ns() - 9 * day
    with records.locked("docs"):
        records.write(RunRecord("docs", "tallac:docs", Outcome.OK, old, old, [StepRecord(Step.BACKUP, Outcome.OK, old, old)]))
        # Somebody runs it just now, for ever: it is not run again.
        tallac("run")
        assert [each for each in listener.take() if "overdue" in each] == []
    jobs = tallac.home / "config" / "jobs.toml"
    os.utime(jobs, ns=(old, old))
    with Client(Folders.under(tallac.home)) as client:
        [docs] = client.jobs.chosen(["docs"])
        assert client.notices.look([docs], client.status) == []
        assert client.notices.look([docs], client.status) == []
    [title] = listener.take()
    assert title.endswith("is overdue")
