"""Reading jobs from files of TOML. Whatever is wrong is said with its place, and what may have been meant."""

from __future__ import annotations

import os
import re
import stat
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tallac.backup.option_table import JOB_OPTIONS, BackupOption, OptionKind
from tallac.errors import ConfigurationError, UsageError
from tallac.jobs.job import DELAY_SECONDS_MAX, DRILL_FILES, CheckPlan, DrillPlan, Job
from tallac.jobs.keys import NOTIFY_ON, JobKeys, KeepKeys
from tallac.jobs.times import Often, Schedule, parse_seconds
from tallac.look.criteria import parse_size
from tallac.retention.rules import Period, Rules, parse_rules

SIZE_MAX = 1 << 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
DEFAULTS, JOB = "defaults", "job"

T = TypeVar("T")

OWN_KEYS = msgspec.structs.fields(JobKeys)
_OWN_NAMES = {field.name: field.name for field in OWN_KEYS}
_OPTION_NAMES = {name.replace("-", "_"): name for name in JOB_OPTIONS}
_DUMP = re.compile(r"(?:(?:postgresql|mariadb|mysql):.+|sqlite:.+|redis(?::[0-9]+)?)", re.DOTALL)
_SNAPSHOTS = ("btrfs", "zfs", "lvm")


class JobFileError(ConfigurationError):
    """A file of jobs is malformed, or others can change it; the message begins with its name, and the line where that is known."""


def read_jobs(files: Iterable[Path]) -> dict[str, Job]:
    """Read all jobs of some files, in order; a file that is not there holds none.

    Raises:
        JobFileError: One is malformed, can be changed by others, or has a job of the same name as another.
    """
    jobs: dict[str, Job] = {}
    for file in files:
        for name, job in _read_file(file).items():
            same = next((other for other in jobs.values() if other.name.lower() == name.lower()), None)
            if same is not None:
                raise JobFileError(f"{file}: job {name!r}: {same.file} has a job of this name; rename one of them")
            jobs[name] = job
    _require_one_policy(jobs.values())
    return jobs


def _require_one_policy(jobs: Iterable[Job]) -> None:
    """Refuse two jobs that would forget each other's snapshots."""
    by_target: dict[str, Job] = {}
    for job in jobs:
        other = by_target.setdefault(job.keys.target, job)
        if other.rules != job.rules:
            raise JobFileError(
                f"{job.file}: job.{job.name}.keep: job {other.name!r} has the same target and keeps other snapshots; "
                f'give each a target of its own, as in target = "{job.keys.target.rstrip("/")}/{job.name}"'
            )


def _read_file(file: Path) -> dict[str, Job]:
    try:
        with file.open("rb") as opened:
            _require_own(file, os.fstat(opened.fileno()))
            content = opened.read(SIZE_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise JobFileError(f"{file}: can't read the jobs ({error.strerror})") from error
    if len(content) > SIZE_MAX:
        raise JobFileError(f"{file}: this is larger than 1 MiB, and no file of jobs")
    return parse_jobs(content, file)


def _require_own(file: Path, status: os.stat_result) -> None:
    """Refuse a file that others can write: what it says is run as this user."""
    if sys.platform == "win32":
        return
    remedy = f"run `chmod go-w {file}`, after a look at what is in it"
    if status.st_uid not in {0, os.geteuid()}:
        raise JobFileError(f"{file}: it belongs to another user, and could run commands as you; make it yours with chown")
    if status.st_mode & stat.S_IWOTH:
        raise JobFileError(f"{file}: everybody can write it, and could run commands as you; {remedy}")
    if status.st_mode & stat.S_IWGRP and not _is_private_group(status):
        raise JobFileError(f"{file}: its group can write it, and could run commands as you; {remedy}")


def _is_private_group(status: os.stat_result) -> bool:
    """Whether the group of a file has no member but its owner, as each user's own group on many systems."""
    import grp  # lazy import: Windows has none
    import pwd  # lazy import: likewise

    try:
        group, owner = grp.getgrgid(status.st_gid), pwd.getpwuid(status.st_uid)
    except KeyError:
        return False
    return group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name}


def parse_jobs(content: bytes, file: Path) -> dict[str, Job]:
    """Read the jobs in the content of a file, in order.

    Raises:
        JobFileError: It is malformed.
    """
    try:
        text = content.decode()
        tree = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise JobFileError(f"{file}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise JobFileError(f"{file}: {_syntax_error(str(error))}") from error
    return _Reader(file, text).jobs(tree)


def _syntax_error(message: str) -> str:
    same = re.match(r"Cannot declare \('job', '([^']*)'\) twice(.*)", message)
    if same is not None:
        return f"two jobs are called {same[1]!r}{same[2]}; rename one of them"
    return f"not TOML: {message}"


class _Reader:
    """Reads one file."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._lines = text.splitlines()

    def jobs(self, tree: Mapping[str, Any]) -> dict[str, Job]:
        for name, value in tree.items():
            if name not in {DEFAULTS, JOB}:
                raise self._error((name,), _unknown(name, (DEFAULTS, JOB), "write [job.NAME] for a job, or [defaults]"))
            if not isinstance(value, dict):
                raise self._error((name,), "this is no table; write [job.NAME] for a job, or [defaults]")
        defaults, tables = tree.get(DEFAULTS, {}), tree.get(JOB, {})
        default_keys, default_options = self._split(defaults, (DEFAULTS,))
        self._keys(default_keys, (DEFAULTS,))
        jobs: dict[str, Job] = {}
        for name, table in tables.items():
            place = (JOB, name)
            if not NAME.fullmatch(name):
                raise self._error(place, "a job's name has letters, digits, hyphens and underscores, at most 64")
            if not isinstance(table, dict):
                raise self._error(place, f"this is no table; write [job.{name}], and below it the job's keys")
            if any(other.lower() == name.lower() for other in jobs):
                raise self._error(place, "another job has this name, save for capitals; rename one of them")
            keys, options = self._split(table, place)
            jobs[name] = self._job(name, self._keys(default_keys | keys, place), default_options | options)
        return jobs

    def _split(
        self, table: Mapping[str, Any], place: tuple[str, ...]
    ) -> tuple[dict[str, Any], dict[str, bool | str | int | tuple[str, ...]]]:
        """Separate the job's own keys from the options of `backup`, and check the latter."""
        keys: dict[str, Any] = {}
        options: dict[str, bool | str | int | tuple[str, ...]] = {}
        for written, value in table.items():
            name = written.replace("-", "_")
            if name in _OWN_NAMES:
                keys[name] = value
            elif name in _OPTION_NAMES:
                option = JOB_OPTIONS[_OPTION_NAMES[name]]
                options[option.name] = self._option(option, value, (*place, written))
            else:
                raise self._error(
                    (*place, written), _unknown(written, (*_OWN_NAMES, *JOB_OPTIONS), "docs/guide/jobs.md has all keys")
                )
        return keys, options

    def _option(self, option: BackupOption, value: object, place: tuple[str, ...]) -> bool | str | int | tuple[str, ...]:
        if option.kind.is_flag:
            if not isinstance(value, bool):
                raise self._error(place, "give true or false")
            return value
        if option.kind is OptionKind.SIZE:
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
            if isinstance(value, str):
                return self._read(place, lambda: parse_size(value))
            raise self._error(place, 'give a size, as in "500k" or "2G"')
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise self._error(place, "give a text, or a list of texts" if option.kind.is_several else "give a text")
        if "-" in texts and option.metavar.endswith("|-"):
            raise self._error(place, "a job has no standard input; name a file")
        relative = next((text for text in texts if not _is_absolute(text)), None)
        if relative is not None and option.metavar in {"FILE|-", "FOLDER"}:
            raise self._error(place, f"{relative!r} is relative, and a job has no folder; begin it with / or ~")
        if option.kind.is_several:
            return tuple(texts)
        if not isinstance(value, str):
            raise self._error(place, "give one text")
        return value

    def _keys(self, table: Mapping[str, Any], place: tuple[str, ...]) -> JobKeys:
        try:
            return msgspec.convert(table, JobKeys)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$.")
            below = tuple(re.findall(r"[A-Za-z_]+", path))
            unknown = re.search(r"unknown field `(.*)`", message)
            if unknown is not None:
                names = [field.encode_name for field in _fields_below(below)]
                raise self._error(
                    (*place, *below, unknown[1]), _unknown(unknown[1], names, f"these are known: {', '.join(names)}")
                ) from error
            raise self._error((*place, *below), _plain(message)) from error

    def _job(self, name: str, keys: JobKeys, options: dict[str, bool | str | int | tuple[str, ...]]) -> Job:
        place = (JOB, name)
        if not keys.sources and not keys.dumps and not any(options.get(key) for key in ("files-from", "files-from0")):
            raise self._error(place, 'it has no sources; add a line as in sources = ["~"]')
        if not keys.target:
            raise self._error(place, 'it has no target; add a line as in target = "usb:home"')
        if ":" not in keys.target.partition("/")[0]:
            raise self._error(
                (*place, "target"), f'{keys.target!r} lacks the colon after its alias; write one as in target = "usb:home"'
            )
        for source in keys.sources:
            if not _is_absolute(source):
                raise self._error((*place, "sources"), f"{source!r} is relative, and a job has no folder; begin it with / or ~")
        schedule = None if keys.every is None else self._read((*place, "every"), lambda: Schedule.parse(keys.every or ""))
        for dump in keys.dumps:
            if not _DUMP.fullmatch(dump):
                raise self._error(
                    (*place, "dumps"), f"{dump!r} is no dump; write postgresql:all, mariadb:NAME, mysql:NAME, sqlite:FILE or redis"
                )
        if keys.dumps and "relative-to" in options:
            raise self._error(
                (*place, "relative-to"), "dumps lie in a folder of their own, which is not below this one; leave it out"
            )
        if keys.snapshot is not None and keys.snapshot not in _SNAPSHOTS:
            raise self._error((*place, "snapshot"), _unknown(keys.snapshot, _SNAPSHOTS, "give btrfs, zfs or lvm"))
        self._require_notify(place, keys)
        return Job(
            name=name,
            file=self._file,
            keys=keys,
            options=options,
            schedule=schedule,
            delay_seconds_max=self._delay(place, keys, schedule),
            rules=self._rules(place, keys),
            prune=self._prune(place, keys),
            check=self._check(place, keys),
            drill=self._drill(place, keys),
            timeout_seconds=self._read((*place, "timeout"), lambda: parse_seconds(keys.timeout)),
        )

    def _require_notify(self, place: tuple[str, ...], keys: JobKeys) -> None:
        for url in keys.notify:
            if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://.", url):
                # What it is may be a password.
                raise self._error((*place, "notify"), 'one of these is no address; write it as in "ntfy://ntfy.sh/my-topic"')
        for occasion in keys.notify_on:
            if occasion not in NOTIFY_ON:
                raise self._error((*place, "notify_on"), _no_occasion(occasion))

    def _delay(self, place: tuple[str, ...], keys: JobKeys, schedule: Schedule | None) -> int:
        if schedule is None:
            return 0
        if keys.delay is None:
            return min(DELAY_SECONDS_MAX, schedule.interval_seconds // 10)
        delay = keys.delay
        seconds = self._read((*place, "delay"), lambda: parse_seconds(delay))
        if seconds >= schedule.interval_seconds:
            raise self._error((*place, "delay"), "it is as long as the time between two runs; choose a shorter one")
        return seconds

    def _rules(self, place: tuple[str, ...], keys: JobKeys) -> Rules | None:
        if keys.keep is None:
            return None
        keep = keys.keep
        counts = {period.value: getattr(keep, period.value) for period in Period}
        within = {period.value: getattr(keep, f"within_{period.value}") for period in Period if period is not Period.LAST}
        texts = {name: None if count is None else str(count) for name, count in counts.items()}
        rules = self._read((*place, "keep"), lambda: parse_rules(texts, keep.within, within, keep.tag))
        if rules.is_empty:
            raise self._error((*place, "keep"), "it keeps nothing; write as in keep = { daily = 7, weekly = 4 }")
        return rules

    def _prune(self, place: tuple[str, ...], keys: JobKeys) -> Often | None:
        text = keys.prune or ("never" if keys.keep is None else "each month")
        if text == "never":
            return None
        often = self._read((*place, "prune"), lambda: Often.parse(text))
        if often.amount:
            raise self._error((*place, "prune"), f"{text!r}: a prune has no amount; write `each month`, `each run` or `never`")
        return often

    def _check(self, place: tuple[str, ...], keys: JobKeys) -> CheckPlan | None:
        if keys.check is None:
            return None
        text = keys.check
        often = self._read((*place, "check"), lambda: Often.parse(text))
        percent = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%", often.amount, re.ASCII)
        if often.amount and (percent is None or not 0 < float(percent[1]) <= 100):
            raise self._error((*place, "check"), f"{text!r}: give a percentage above 0 and up to 100, as in `5% each week`")
        return CheckPlan(often, 0.0 if percent is None else float(percent[1]))

    def _drill(self, place: tuple[str, ...], keys: JobKeys) -> DrillPlan | None:
        if keys.drill is None:
            return None
        text = keys.drill
        often = self._read((*place, "drill"), lambda: Often.parse(text))
        files = re.fullmatch(r"([1-9][0-9]{0,5}) files?", often.amount, re.ASCII)
        if often.amount and files is None:
            raise self._error((*place, "drill"), f"{text!r}: write `each month`, or a number of files as in `200 files each month`")
        return DrillPlan(often, DRILL_FILES if files is None else int(files[1]))

    def _read(self, place: tuple[str, ...], parse: Callable[[], T]) -> T:
        try:
            return parse()
        except UsageError as error:
            raise self._error(place, str(error)) from error

    def _error(self, place: tuple[str, ...], message: str) -> JobFileError:
        line = _line_of(self._lines, place)
        where = f"{self._file}: line {line}" if line else f"{self._file}"
        return JobFileError(f"{where}: {'.'.join(place)}: {message}")


def _is_absolute(path: str) -> bool:
    return path.startswith("~") or os.path.isabs(path)


def _fields_below(path: tuple[str, ...]) -> tuple[msgspec.structs.FieldInfo, ...]:
    """Return the fields of the struct that a path of keys leads to."""
    return msgspec.structs.fields(KeepKeys) if path[:1] == ("keep",) else OWN_KEYS


def _unknown(name: str, known: Iterable[str], otherwise: str) -> str:
    close = get_close_matches(name.replace("-", "_"), [key.replace("-", "_") for key in known], n=1, cutoff=0.6)
    return f"unknown key; did you mean {close[0]}?" if close else f"unknown key; {otherwise}"


def _no_occasion(name: str) -> str:
    close = get_close_matches(name, NOTIFY_ON, n=1, cutoff=0.6)
    return f"{name!r} is no occasion; " + (f"did you mean {close[0]}?" if close else f"write one or more of {', '.join(NOTIFY_ON)}")


def _plain(message: str) -> str:
    """Write what msgspec expects in the words of TOML."""
    for kind, word in (
        ("array", "a list"),
        ("object", "a table"),
        ("str", "a text"),
        ("int", "a number"),
        ("bool", "true or false"),
    ):
        message = re.sub(rf"`{kind}( \| null)?`", word, message)
    return message.replace("Expected", "expected").replace("`", "")


def _line_of(lines: list[str], place: tuple[str, ...]) -> int:
    """Find the line that a key stands on, counted from 1, by its table's header; 0 where it is written in another way."""
    for depth in range(len(place), 0, -1):
        table, keys = place[:depth], place[depth:]
        header = r"\.".join(_quoted(part) for part in table)
        start = next((n for n, line in enumerate(lines) if re.match(rf"\s*\[+\s*{header}\s*\]", line)), None)
        if start is None:
            continue
        for number in range(start + 1, len(lines)):
            if not keys or re.match(r"\s*\[\[?[\w\"'. -]+\]", lines[number]):
                break
            if re.match(rf"\s*{_quoted(keys[0])}\s*[=.]", lines[number]):
                return number + 1
        return start + 1
    return 0


def _quoted(name: str) -> str:
    return rf"[\"']?{re.escape(name)}[\"']?"
