"""Writing a job into a file of jobs, as somebody would by hand: with comments, and without touching what is there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tallac.errors import ConfigurationError
from tallac.jobs.loader import parse_jobs
from tallac.jobs.schema import schema_text
from tallac.local_files import Durability, make_private_folders, replace

SCHEMA_FILE = "jobs.schema.json"

_HEADER = f"""#:schema ./{SCHEMA_FILE}
# Backups that run by themselves. `tallac jobs` lists them, `tallac run --dry-run` shows what is due,
# and `tallac schedule install` has them run on time. The guide has all keys: docs/guide/jobs.md.

# What every job has that does not say otherwise:
# [defaults]
# exclude_caches = true
"""


class NewJob(msgspec.Struct, frozen=True):
    """The answers that make a job.

    Attributes:
        name: The job's name.
        sources: What to back up.
        target: Where to, with its alias.
        every: When.
        keep: How many of each period stay, by its name; nothing keeps all.
    """

    name: str
    sources: tuple[str, ...]
    target: str
    every: str
    keep: Mapping[str, int]


def text_of(job: NewJob) -> str:
    """Return a job as TOML, with comments on what is there and what could be added."""
    keep = ", ".join(f"{period} = {count}" for period, count in job.keep.items())
    keep_line = f"keep = {{ {keep} }}" if keep else "# keep = { daily = 7, weekly = 4, monthly = 12 }"
    return f"""
[job.{job.name}]
sources = [{", ".join(map(_quoted, job.sources))}]
target = {_quoted(job.target)}
every = {_quoted(job.every)}
# Which snapshots stay; the others are forgotten, and their space is reclaimed once a month.
{keep_line}
# Check the vault each week, and read 5% of its data each time, all of it in turn.
check = "5% each week"
# Try a restore of some files, so that you know that it works.
drill = "each month"
# What to leave out, as in a .gitignore file; all options of `tallac backup` are keys here.
exclude = []
exclude-caches = true
# Commands around the backup, databases, copies of the vault:
# before = ["systemctl --user stop app"]
# after = ["systemctl --user start app"]
# dumps = ["postgresql:all"]
# copies = ["/media/usb/copy"]
"""


def append_job(file: Path, job: NewJob) -> None:
    """Add a job to a file, which is made where it is missing; durable when this returns.

    Raises:
        ConfigurationError: With the job, the file would be malformed, or it can't be written. It is as it was.
    """
    path = Path(os.path.realpath(file))
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = _HEADER.encode()
    except OSError as error:
        raise ConfigurationError(f"{file}: can't read the jobs ({error.strerror})") from error
    if before and not before.endswith(b"\n"):
        before += b"\n"
    content = before + text_of(job).encode()
    parse_jobs(content, file)
    try:
        make_private_folders(path.parent)
        replace(path.parent / SCHEMA_FILE, schema_text(), Durability.CONTENT)
        replace(path, content, Durability.FULL)
    except OSError as error:
        raise ConfigurationError(f"{file}: can't write the job ({error.strerror}); nothing was changed") from error


def _quoted(text: str) -> str:
    """Write a text as TOML does; its escapes are JSON's."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
