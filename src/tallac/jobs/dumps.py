"""Dumps of databases, each into a file of a private folder, from where they are backed up. A dump is whole, or it is an error."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tallac.errors import SourceError
from tallac.jobs.commands import CommandError, run_command
from tallac.local_files import make_private_folders

ALL = "all"
SQLITE_WAIT_SECONDS = 60.0
_SQLITE_PAGES = 4096

# The user whom the server runs as, on systems whose packages make one: root becomes that user, who needs no password.
_POSTGRESQL_USER = "postgres"


def dump_all(
    dumps: Sequence[str], options: Mapping[str, Sequence[str]], folder: Path, seconds: float | None, report: Callable[[str], None]
) -> int:
    """Dump databases into a folder, which is emptied first.

    Args:
        dumps: `KIND:NAME`, as a job has them.
        options: Further arguments of the commands, by kind.
        folder: Where to; only this user can enter it. It holds nothing but dumps.
        seconds: How long each may take; None for any time.
        report: Called with each dump before it is made.

    Returns:
        The bytes of all dumps.

    Raises:
        SourceError: One failed; what is in the folder is not to be used.
    """
    remove_dumps(folder)
    try:
        make_private_folders(folder)
        for dump in dumps:
            report(dump)
            kind, _, name = dump.partition(":")
            _KINDS[kind](name, list(options.get(kind, ())), folder, seconds)
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError as error:
        raise SourceError(f"{folder}: can't write a dump there ({error.strerror})") from error


def remove_dumps(folder: Path) -> None:
    """Remove a folder of dumps, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


def _postgresql(name: str, options: list[str], folder: Path, seconds: float | None) -> None:
    user = _POSTGRESQL_USER if _is_root_here(options) else None
    if name == ALL:
        _write(["pg_dumpall", *options], folder / "postgresql-all.sql", seconds, user)
    else:
        _write(["pg_dump", "--create", *options, "--", name], folder / f"postgresql-{_file_name(name)}.sql", seconds, user)


def _mysql(name: str, options: list[str], folder: Path, seconds: float | None, *, programs: Sequence[str] = ("mysqldump",)) -> None:
    program = next((program for program in programs if shutil.which(program)), programs[0])
    # One transaction sees one state of all tables; without its date, a dump of the same data is the same bytes.
    arguments = ["--single-transaction", "--quick", "--routines", "--events", "--triggers", "--hex-blob", "--skip-dump-date"]
    what = ["--all-databases"] if name == ALL else ["--databases", "--", name]
    _write([program, *options, *arguments, *what], folder / f"mysql-{_file_name(name)}.sql", seconds)


def _mariadb(name: str, options: list[str], folder: Path, seconds: float | None) -> None:
    _mysql(name, options, folder, seconds, programs=("mariadb-dump", "mysqldump"))


def _redis(name: str, options: list[str], folder: Path, seconds: float | None) -> None:
    file = folder / "redis.rdb" if not name else folder / f"redis-{name}.rdb"
    port = ["-p", name] if name else []
    run_command(["redis-cli", *port, *options, "--rdb", str(file)], seconds=seconds)
    # redis-cli reports some failures in words only.
    with file.open("rb") as dump:
        is_dump = dump.read(5) == b"REDIS"
    if not is_dump:
        raise CommandError("redis-cli: what it has written is no dump of Redis; see that the server lets it in")


def _sqlite(name: str, _options: list[str], folder: Path, _seconds: float | None) -> None:
    """Copy a database as of one moment, whatever is written to it meanwhile; what lies in its write-ahead log is in the copy."""
    source = Path(os.path.expanduser(name))
    file = folder / "sqlite" / Path(*source.parts[1:])
    make_private_folders(file.parent)
    uri = f"file:{quote(os.fspath(source))}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(uri, uri=True, timeout=SQLITE_WAIT_SECONDS)) as database,
            closing(sqlite3.connect(file, timeout=SQLITE_WAIT_SECONDS)) as copy,
        ):
            database.backup(copy, pages=_SQLITE_PAGES, sleep=0.05)
            copy.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.Error as error:
        raise SourceError(f"{source}: this SQLite database can't be dumped ({error})") from error


_KINDS: dict[str, Callable[[str, list[str], Path, float | None], None]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "mariadb": _mariadb,
    "redis": _redis,
    "sqlite": _sqlite,
}


def _write(command: list[str], file: Path, seconds: float | None, user: str | None = None) -> None:
    with file.open("xb") as output:
        run_command(command, seconds=seconds, output=output, user=user)


def _is_root_here(options: Sequence[str]) -> bool:
    """Whether this is root, who is not let into a server on this machine that nothing says more about."""
    if os.name != "posix" or os.geteuid() != 0 or os.environ.get("PGHOST") or os.environ.get("PGUSER"):
        return False
    if any(option.startswith(("-h", "--host", "-U", "--username", "-d", "--dbname")) for option in options):
        return False
    import pwd  # lazy import: Windows has none

    try:
        pwd.getpwnam(_POSTGRESQL_USER)
    except KeyError:
        return False
    return True


def _file_name(name: str) -> str:
    return quote(name, safe=" ")
