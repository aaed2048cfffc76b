"""Dumps in jobs, of real servers from Debian and of SQLite: they are in the snapshot, whole, or there is no snapshot."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command import PATIENCE_SECONDS

from tallac.jobs.records import JobRecords, Outcome, Step

if TYPE_CHECKING:
    from tests.command import Tallac

POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []


def need(is_there: bool, what: str) -> None:
    """Skip a test for lack of a program; in CI, fail."""
    if not is_there:
        assert "CI" not in os.environ, f"{what} is missing"
        pytest.skip(f"{what} is missing")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short name, for sockets, that other users can reach."""
    with tempfile.TemporaryDirectory(prefix="tallac-db-", dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serving(command: list[str], probe: list[str], user: str | None = None) -> Iterator[None]:
    """Run a server for a block, once it answers."""
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, group=user
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(probe, capture_output=True, check=False).returncode:
            assert server.poll() is None, f"{command[0]} has ended"
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def write_job(tallac: Tallac, keys: str) -> None:
    """Write a file with one job."""
    file = tallac.home / "config" / "jobs.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'[job.db]\ntarget = "tallac:db"\n{keys}\n')


def dumped(tallac: Tallac, tmp_path: Path) -> Path:
    """Run the job and return the folder of dumps as its snapshot has it; on the disk they are gone."""
    assert tallac("-q", "run", "db").err == ""
    assert not (tallac.home / "dumps" / "db").exists()
    place = tmp_path / f"restored-{time.monotonic_ns()}"
    tallac("-q", "restore", "tallac:db/Latest", place)
    return place


def test_postgresql(tallac: Tallac, folder: Path, tmp_path: Path) -> None:
    """All databases, and one, come back from their dumps with the rows that they had; one that is not there fails the job."""
    need(bool(POSTGRESQL) and os.geteuid() == 0 and shutil.which("psql") is not None, "PostgreSQL")
    programs = POSTGRESQL[-1]
    shutil.chown(folder, "postgres", "postgres")
    subprocess.run(
        [programs / "initdb", "--auth=trust", "--no-sync", "-D", folder / "data"],
        check=True,
        capture_output=True,
        user="postgres",
        group="postgres",
        cwd="/",
    )
    at = [f"--host={folder}", "--username=postgres"]
    server = [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-h", ""]

    def sql(database: str, text: str) -> str:
        command = ["psql", *at, "-At", "-d", database, "-c", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    with serving(server, ["pg_isready", f"--host={folder}"], "postgres"):
        sql("postgres", 'CREATE DATABASE "a shop/1"')
        sql("a shop/1", "CREATE TABLE wares AS SELECT n, 'ware ' || n AS name FROM generate_series(1, 10000) AS n")
        options = ", ".join(f'"{argument}"' for argument in at)
        write_job(tallac, f'dumps = ["postgresql:all", "postgresql:a shop/1"]\ndump_options.postgresql = [{options}]')
        found = dumped(tallac, tmp_path)
        assert sorted(path.name for path in found.iterdir()) == ["postgresql-a shop%2F1.sql", "postgresql-all.sql"]
        for dump in found.iterdir():
            sql("postgres", 'DROP DATABASE "a shop/1"')
            subprocess.run(["psql", *at, "-q", "-d", "postgres", "-f", dump], check=True, capture_output=True)
            assert sql("a shop/1", "SELECT count(*), sum(n), max(name) FROM wares") == "10000|50005000|ware 9999"
        write_job(tallac, f'dumps = ["postgresql:nothing"]\ndump_options.postgresql = [{options}]')
        message = tallac("run", "db", status=1).err
        assert "dump: pg_dump: it failed with exit status 1" in message
        assert 'database "nothing" does not exist' in message
    assert len(tallac("snapshots", "tallac:db").lines) == 2, "the failed run has entered nothing"


def test_mariadb(tallac: Tallac, folder: Path, tmp_path: Path) -> None:
    """All databases, and one, come back from their dumps, with binary values; a dump of unchanged data is the same."""
    need(bool(shutil.which("mariadbd")) and os.geteuid() == 0, "MariaDB")
    socket_place, data = folder / "socket", folder / "data"
    subprocess.run(
        ["mariadb-install-db", "--user=root", f"--datadir={data}", "--auth-root-authentication-method=normal"],
        check=True,
        capture_output=True,
    )
    at = [f"--socket={socket_place}", "--user=root"]
    server = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket_place}", "--skip-networking"]

    def sql(text: str) -> str:
        command = ["mariadb", "--no-defaults", *at, "-N", "-e", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    with serving(server, ["mariadb-admin", "--no-defaults", *at, "ping"]):
        sql("CREATE DATABASE shop; CREATE TABLE shop.wares (n INT PRIMARY KEY, name BLOB) ENGINE=InnoDB")
        sql("INSERT INTO shop.wares SELECT seq, UNHEX('00FF0A') FROM shop.seq_1_to_5000")
        options = ", ".join(f'"{argument}"' for argument in at)
        write_job(tallac, f'dumps = ["mariadb:all", "mariadb:shop"]\ndump_options.mariadb = [{options}]')
        found = dumped(tallac, tmp_path)
        assert sorted(path.name for path in found.iterdir()) == ["mysql-all.sql", "mysql-shop.sql"]
        again = dumped(tallac, tmp_path)
        assert (again / "mysql-shop.sql").read_bytes() == (found / "mysql-shop.sql").read_bytes()
        sql("DROP DATABASE shop")
        with (found / "mysql-shop.sql").open("rb") as dump:
            subprocess.run(["mariadb", "--no-defaults", *at], stdin=dump, check=True, capture_output=True)
        assert sql("SELECT COUNT(*), SUM(n), MIN(HEX(name)) FROM shop.wares") == "5000\t12502500\t00FF0A"
        assert b"CREATE DATABASE" in (found / "mysql-all.sql").read_bytes()
    message = tallac("run", "db", status=1).err
    assert "dump: mariadb-dump: it failed" in message


def test_redis(tallac: Tallac, folder: Path, tmp_path: Path) -> None:
    """A dump of Redis is a file that another server starts from."""
    need(bool(shutil.which("redis-server")), "Redis")
    port, other = free_port(), free_port()

    def server(number: int, data: Path) -> list[str]:
        return ["redis-server", "--port", str(number), "--bind", "127.0.0.1", "--dir", str(data), "--save", ""]

    def ask(number: int, *words: str) -> str:
        command = ["redis-cli", "-p", str(number), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    write_job(tallac, f'dumps = ["redis:{port}"]')
    with serving(server(port, folder), ["redis-cli", "-p", str(port), "ping"]):
        for number in range(100):
            ask(port, "set", f"key {number}", f"value {number}")
        found = dumped(tallac, tmp_path)
    (folder / "other").mkdir()
    shutil.copy(found / f"redis-{port}.rdb", folder / "other" / "dump.rdb")
    with serving(server(other, folder / "other"), ["redis-cli", "-p", str(other), "ping"]):
        assert ask(other, "get", "key 42") == "value 42"
        assert ask(other, "dbsize") == "100"
    assert "dump: redis-cli: " in tallac("run", "db", status=1).err, "the server has ended"


def test_sqlite_with_a_write_ahead_log(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """What is committed is in the dump, also if it lies in the log still; what is being written is not. Sources are beside it."""
    file = tmp_path / "a db?.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.execute("CREATE TABLE wares (n INTEGER, name TEXT)")
        database.executemany("INSERT INTO wares VALUES (?, ?)", [(n, f"ware {n}") for n in range(5000)])
        database.commit()
        database.execute("INSERT INTO wares VALUES (-1, 'never')")
        assert file.with_name(f"{file.name}-wal").stat().st_size > file.stat().st_size
        write_job(tallac, f'sources = ["{source}"]\ndumps = ["sqlite:{file}"]')
        found = dumped(tallac, tmp_path)
        database.rollback()
    (copy,) = found.rglob("*.sqlite")
    assert str(copy).endswith(f"/home/dumps/db/sqlite{file}")
    with closing(sqlite3.connect(copy)) as restored:
        assert restored.execute("SELECT count(*), min(n), max(name) FROM wares").fetchone() == (5000, 0, "ware 999")
        assert restored.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert (found / str(source)[1:] / "parent").is_dir()
    file.write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    file.with_name(f"{file.name}-wal").unlink(missing_ok=True)
    assert f"dump: {file}: this SQLite database can't be dumped" in tallac("run", "db", status=1).err
    file.unlink()
    assert f"dump: {file}: this SQLite database can't be dumped" in tallac("run", "db", status=1).err
    assert len(tallac("snapshots", "tallac:db").lines) == 2


def test_a_dump_that_fails_midway(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Half of a dump is never backed up: the job fails, no snapshot is entered, and nothing stays on the disk."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "pg_dump"
    program.write_text("#!/bin/sh\necho half of it\necho server closed the connection >&2\nexit 1\n")
    program.chmod(0o755)
    program.with_name("pg_dumpall").symlink_to("true")
    write_job(tallac, f'sources = ["{source}"]\ndumps = ["postgresql:shop"]\ndump_options.postgresql = ["--host=here"]')
    failing = type(tallac)(tallac.home, ("env", f"PATH={tmp_path}/bin:{os.environ['PATH']}"))
    message = failing("run", "db", status=1).err
    assert message == "tallac: db: dump: pg_dump: it failed with exit status 1: server closed the connection\n"
    record = JobRecords(tallac.home / "state").last("db")
    assert record is not None
    assert [(step.step, step.outcome) for step in record.steps] == [(Step.DUMP, Outcome.FAILED)]
    assert not (tallac.home / "dumps" / "db").exists()
    assert tallac("snapshots", "tallac:db", status=None).out == b""


def test_root_dumps_as_the_owner_of_the_server(tmp_path: Path, tallac: Tallac) -> None:
    """Without a word on who asks, root becomes the user whom PostgreSQL knows."""
    try:
        number = pwd.getpwnam("postgres").pw_uid
    except KeyError:
        number = -1
    need(number >= 0 and os.geteuid() == 0, "the user postgres")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        program = Path(name, "pg_dumpall")
        program.write_text("#!/bin/sh\nid -u\npwd\n")
        program.chmod(0o755)
        write_job(tallac, 'dumps = ["postgresql:all"]')
        type(tallac)(tallac.home, ("env", f"PATH={name}:{os.environ['PATH']}"))("-q", "run", "db")
    assert tallac("get", "tallac:db/Latest/postgresql-all.sql", "-").out == f"{number}\n/\n".encode()
