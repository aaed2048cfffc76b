"""`tallac schedule`: shown, installed and removed, by a crontab that is a file and by a real cron."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.jobs.records import JobRecords, Outcome

if TYPE_CHECKING:
    from tests.command import Tallac

# crontab(1) as far as it is used: one user's crontab is a file beside it.
CRONTAB = """#!/bin/sh
file="$(dirname "$0")/crontab.txt"
case "$1" in
-l) cat "$file" 2>/dev/null || { echo "no crontab for me" >&2; exit 1; } ;;
-r) rm "$file" ;;
-) cat > "$file" ;;
esac
"""

# A cron with a spool, a run folder and a configuration of its own, which ends with this process.
PRIVATE_CRON = """
set -e
mount -t tmpfs none /var/spool/cron
mount -t tmpfs none /run
mkdir -m 1730 /var/spool/cron/crontabs
chgrp crontab /var/spool/cron/crontabs
"$@"
crontab -l
exec cron -f
"""


@pytest.fixture
def with_cron(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Return a machine with a crontab."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "crontab").write_text(CRONTAB)
    (folder / "crontab").chmod(0o755)
    return type(tallac)(tallac.home, ("env", f"PATH={folder}:{os.environ['PATH']}"))


def write_jobs(tallac: Tallac, text: str) -> None:
    """Write the file of jobs."""
    file = tallac.home / "config" / "jobs.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_it_is_shown_asked_and_removable(with_cron: Tallac, source: Path, tmp_path: Path) -> None:
    """Nothing is written unasked; what is installed is there once, with other lines untouched; removed, it leaves no trace."""
    crontab = tmp_path / "bin" / "crontab.txt"
    crontab.write_text("0 1 * * * true\n")
    write_jobs(with_cron, f'[job.docs]\nsources = ["{source}"]\ntarget = "tallac:"\nevery = "hour"\n')
    schedule = ("schedule", "--with", "cron")
    shown = with_cron(*schedule, "show").out.decode()
    assert f"    */15 * * * * TALLAC_HOME={with_cron.home} " in shown
    assert "no terminal to ask on; add --yes" in with_cron(*schedule, "install", status=2).err
    assert crontab.read_text() == "0 1 * * * true\n"
    assert "cron: installed; cron mails" in with_cron(*schedule, "install", "--yes").err
    assert crontab.read_text().startswith("0 1 * * * true\n# BEGIN tallac")
    assert "all jobs are installed as they should be" in with_cron(*schedule, "install", "--yes").err
    assert crontab.read_text().count("tallac --quiet run") + crontab.read_text().count("-m tallac --quiet run") >= 1
    with_cron(*schedule, "remove", "--yes")
    assert crontab.read_text() == "0 1 * * * true\n"
    assert "cron: nothing is installed" in with_cron(*schedule, "remove", "--yes").err
    crontab.unlink()
    with_cron(*schedule, "install", "--yes")
    with_cron(*schedule, "remove", "--yes")
    assert not crontab.exists()


def test_what_cannot_be_scheduled(tallac: Tallac, source: Path) -> None:
    """A job without a time, an unknown scheduler or action, and a broken file are refused."""
    assert "no job has a time; add a line" in tallac.fails("schedule", "show", "--with", "cron", status=2)
    assert "no such scheduler; there are systemd, cron" in tallac.fails("schedule", "show", "--with", "at", status=2)
    assert "no such action; write install" in tallac.fails("schedule", "start", "--with", "cron", status=2)
    write_jobs(tallac, '[job.docs]\nsources = []\ntarget = "tallac:"\n')
    assert "it has no sources" in tallac.fails("schedule", "show", "--with", "cron")


def test_json(with_cron: Tallac, source: Path) -> None:
    """Programs get the files as they would be."""
    write_jobs(with_cron, f'[job.docs]\nsources = ["{source}"]\ntarget = "tallac:"\nevery = "hour"\n')
    planned = [json.loads(line) for line in with_cron("--json", "schedule", "show", "--with", "systemd", "--user").lines]
    assert [Path(file["path"]).name for file in planned] == ["tallac-docs.service", "tallac-docs.timer"]
    assert "OnCalendar=*-*-* *:00:00\n" in planned[1]["content"]


def _can_have_a_private_cron() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    if not all(map(shutil.which, ("cron", "crontab", "unshare"))):
        assert "CI" not in os.environ, "cron is missing; scripts/system-packages.sh installs it"
        return False
    tried = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


@pytest.mark.slow
def test_a_real_cron_runs_a_job(tallac: Tallac, source: Path) -> None:
    """Debian's cron, on a spool of its own, takes the line that was installed, and the job is run within minutes."""
    if not _can_have_a_private_cron():
        pytest.skip("there is no cron, or no right to mount its spool")
    write_jobs(tallac, f'[job.docs]\nsources = ["{source}"]\ntarget = "tallac:"\nevery = "minute"\ndelay = "none"\n')
    install = [sys.executable, "-m", "tallac", "schedule", "install", "--with", "cron", "--yes"]
    cron = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", PRIVATE_CRON, "sh", *install],
        env=tallac.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    records = JobRecords(tallac.home / "state")
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while cron.poll() is None and time.monotonic() < deadline:
            last = records.last("docs")
            if last is not None and last.outcome is not Outcome.RUNNING:
                break
            time.sleep(0.1)
    finally:
        # unshare waits for its child, whatever else it is told; its child is what all others in there die with.
        cron.kill()
        cron.wait(PATIENCE_SECONDS)
    last = records.last("docs")
    assert last is not None
    assert last.outcome is Outcome.OK
