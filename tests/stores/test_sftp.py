"""Vaults over SFTP: the suite that every backend passes on OpenSSH's server, servers that are refused, and lines that break."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import pickle
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import asyncssh
import msgspec
import pytest
from asyncssh.channel import SSHChannel
from asyncssh.connection import SSHConnection
from asyncssh.constants import MSG_SERVICE_ACCEPT, MSG_USERAUTH_REQUEST
from asyncssh.sftp import SFTPClientHandler
from tests.command import Tallac
from tests.contract import test_backend_contract as suite
from tests.stores.engines import free_port, stop
from tests.stores.ssh_server import SshServer, make_key, start_sshd

from tallac.backends import sftp_login
from tallac.backends.limits import LimitedBackend, Limits, SharedLimits
from tallac.backends.local import LocalBackend
from tallac.backends.patience import Patience
from tallac.backends.races import racing_processes
from tallac.backends.retrying import RetryingBackend
from tallac.backends.sftp import SftpBackend
from tallac.backends.sftp_channel import Channel
from tallac.backends.sftp_new_file import NewFile
from tallac.backends.sftp_sequences import SftpSequences
from tallac.backends.sftp_session import SftpSettings
from tallac.backends.traffic import Traffic
from tallac.errors import (
    ConflictError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreUnavailableError,
    UnsafeStoreError,
    VaultNotFoundError,
)
from tallac.file_calls import Found
from tallac.interfaces import Backend, Buffer, Expect

FXP_CLOSE, FXP_WRITE, FXP_OPENDIR = 4, 6, 11
"""Requests in the protocol's numbers; the first is the only one whose answer nobody ever waits for."""


@pytest.fixture
def store(sftp_settings: SftpSettings) -> SftpBackend:
    """Give an empty folder on OpenSSH's server."""
    return SftpBackend(sftp_settings)


@pytest.fixture
def backend(store: SftpBackend) -> Backend:
    """Give it as it is used."""
    return RetryingBackend(store, Patience())


test_what_was_put_is_got = suite.test_what_was_put_is_got
test_a_buffer_may_be_reused = suite.test_a_buffer_may_be_reused
test_a_put_replaces = suite.test_a_put_replaces
test_ranges = suite.test_ranges
test_absence_is_told_apart = suite.test_absence_is_told_apart
test_a_deleted_object_is_absent = suite.test_a_deleted_object_is_absent
test_expecting_absence = suite.test_expecting_absence
test_expecting_a_version = suite.test_expecting_a_version
test_deleting_a_version = suite.test_deleting_a_version
test_an_upload_gets_its_name_at_the_end = suite.test_an_upload_gets_its_name_at_the_end
test_an_upload_keeps_what_exists = suite.test_an_upload_keeps_what_exists
test_an_aborted_upload_leaves_nothing = suite.test_an_aborted_upload_leaves_nothing
test_listing_by_prefix = suite.test_listing_by_prefix
test_wrong_names_are_refused = suite.test_wrong_names_are_refused
test_one_of_many_threads_creates = suite.test_one_of_many_threads_creates
test_no_increment_is_lost_between_threads = suite.test_no_increment_is_lost_between_threads
test_uploads_of_many_threads = suite.test_uploads_of_many_threads


def test_few_requests(sftp_settings: SftpSettings) -> None:
    """What each call asks of the server stays what it was measured to be; no temporary name is left."""
    traffic = Traffic()
    store = SftpBackend(sftp_settings, traffic)
    content = os.urandom(300)
    version = store.put("slots/a", content, expect=Expect.ABSENT)
    version = store.put("slots/a", content[1:], expect=version)

    def asked(call: Callable[[], object]) -> int:
        before = traffic.total().requests
        call()
        return traffic.total().requests - before

    assert asked(lambda: store.put("slots/b", content, expect=Expect.ABSENT)) <= 7
    assert asked(lambda: store.put("slots/a", content, expect=version)) <= 16
    assert asked(lambda: store.get("slots/a")) <= 4
    store.add("packs/a", io.BytesIO(content * 1000), len(content * 1000))
    assert store.get("packs/a", 250_000, 400_000) == (content * 1000)[250_000:]
    assert asked(lambda: store.get("packs/a", 100, 200)) <= 1
    assert store.get("packs/a", 299_999, 300_001) == content[-1:]
    assert {path.name for path in Path(sftp_settings.path).iterdir()} == {"slots", "packs"}


def test_few_waits(sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a long line it counts how often an answer is waited for before something else is sent: so often, and not more."""
    events: list[str] = []
    make_request = SFTPClientHandler._make_request

    async def recorded(self: SFTPClientHandler, kind: int | bytes, *arguments: bytes) -> object:
        if kind == FXP_CLOSE:
            return await make_request(self, kind, *arguments)
        events.append("sent")
        try:
            return await make_request(self, kind, *arguments)
        finally:
            events.append("answered")

    monkeypatch.setattr(SFTPClientHandler, "_make_request", recorded)
    store = SftpBackend(sftp_settings)

    def waits(call: Callable[[], object]) -> int:
        events.clear()
        call()
        return "".join("s" if event == "sent" else "a" for event in events).count("sa")

    content = os.urandom(300)
    store.put("slots/a", content, expect=Expect.ABSENT)
    version = store.put("slots/a", content[1:])
    assert waits(lambda: store.put("slots/b", content, expect=Expect.ABSENT)) <= 2
    assert waits(lambda: store.put("slots/b", content)) <= 2
    assert waits(lambda: store.put("slots/a", content, expect=version)) <= 4
    assert waits(lambda: store.get("slots/a")) <= 2
    assert waits(lambda: store.get_versioned("slots/c")) <= 1
    assert waits(lambda: store.delete("slots/a")) <= 1
    pack = os.urandom(3_000_000)
    assert waits(lambda: store.add("packs/a", io.BytesIO(pack), len(pack))) <= 3
    assert waits(lambda: store.get("packs/a", 1_000_000, 2_500_000)) <= 2
    assert waits(lambda: store.get("packs/a", 1_000_000, 2_500_000)) <= 1
    assert waits(lambda: list(store.list("packs/"))) <= 2
    assert store.get("packs/a") == pack


SETTLING_SECONDS = 0.2
"""A test under load is slow, and threads take turns."""


class Rounds:
    """A line on which all that is sent before anything is answered is answered together.

    Attributes:
        count: How often answers were waited for, but for those to what closes a file, which nobody waits for.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._sent: list[tuple[asyncio.Future[object], Coroutine[Any, Any, object]]] = []
        self._answering: asyncio.Task[None] | None = None
        make_request = SFTPClientHandler._make_request

        async def made(handler: SFTPClientHandler, kind: int | bytes, *arguments: bytes) -> object:
            request = make_request(handler, kind, *arguments)
            if kind == FXP_CLOSE:
                return await request
            answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            self._sent.append((answer, request))
            if self._answering is None or self._answering.done():
                self._answering = asyncio.ensure_future(self._answer())
            return await answer

        monkeypatch.setattr(SFTPClientHandler, "_make_request", made)

    async def _answer(self) -> None:
        while self._sent:
            await asyncio.sleep(SETTLING_SECONDS)  # Whoever sends something without waiting, from any thread, has done so by then.
            sent, self._sent = self._sent, []
            self.count += 1
            answers = await asyncio.gather(*(request for _, request in sent), return_exceptions=True)
            for (waiting, _), answer in zip(sent, answers, strict=True):
                if isinstance(answer, BaseException):
                    waiting.set_exception(answer)
                else:
                    waiting.set_result(answer)


def leave_behind(settings: SftpSettings) -> Path:
    """Make a file as a killed run leaves it, a day later."""
    left = Path(settings.path) / f".tmp-{'0f' * 16}"
    left.write_bytes(b"left")
    os.utime(left, (1_700_000_000, 1_700_000_000))
    return left


@pytest.mark.parametrize("leftovers", [False, True])
def test_a_first_put_does_not_wait_for_the_look_for_leftovers(
    sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch, *, leftovers: bool
) -> None:
    """What killed runs left goes while the first file is made and written, which waits for no more than the end of that."""
    store = SftpBackend(sftp_settings)
    left = leave_behind(sftp_settings) if leftovers else None
    assert store.get_versioned("slots/a") is None
    rounds = Rounds(monkeypatch)
    store.put("slots/a", b"first", expect=Expect.ABSENT)
    assert rounds.count <= 3 + leftovers
    assert left is None or not left.exists()


def test_what_leftovers_leave_no_room_for_is_written_once_they_are_removed(
    sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that killed runs have filled takes the first file as soon as what they left was removed."""
    left, refused = leave_behind(sftp_settings), asyncio.Event()
    make_request = SFTPClientHandler._make_request

    async def full(handler: SFTPClientHandler, kind: int | bytes, *arguments: bytes) -> object:
        if kind == FXP_WRITE and left.exists():
            refused.set()
            raise asyncssh.SFTPFailure("there is no room")
        if kind == FXP_OPENDIR:
            await refused.wait()
        return await make_request(handler, kind, *arguments)

    monkeypatch.setattr(SFTPClientHandler, "_make_request", full)
    store = SftpBackend(sftp_settings)
    store.put("slots/a", b"first", expect=Expect.ABSENT)
    assert refused.is_set()
    assert store.get("slots/a") == b"first"
    store.leave()
    assert temporary_files(sftp_settings) == []


@pytest.mark.parametrize(("kind", "is_refusal"), [(FXP_WRITE, True), (b"posix-rename@openssh.com", False)])
def test_a_full_disk_has_refused_what_has_no_name_yet(
    sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch, kind: int | bytes, is_refusal: bool
) -> None:
    """Where a file can't be written for want of room nothing of it is entered later; where it can't be named, that is not known."""
    store = SftpBackend(sftp_settings)
    version = store.put("slots/a", b"first", expect=Expect.ABSENT)
    make_request = SFTPClientHandler._make_request

    async def full(handler: SFTPClientHandler, request: int | bytes, *arguments: bytes) -> object:
        if request == kind:
            raise asyncssh.SFTPNoSpaceOnFilesystem("there is no room")
        return await make_request(handler, request, *arguments)

    monkeypatch.setattr(SFTPClientHandler, "_make_request", full)
    with pytest.raises(StoreFullError) as raised:
        store.put("slots/a", b"second", expect=version)
    assert raised.value.is_refusal is is_refusal
    assert store.get("slots/a") == b"first"


def test_a_clock_that_is_ahead_makes_no_leftover_of_what_is_being_written(
    sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a clock that is two days ahead the first file and those of others stay; what is old by the server's clock goes."""
    other = SftpBackend(sftp_settings)
    other.put("slots/b", b"first", expect=Expect.ABSENT)
    other.prepare("slots/b", b"second")
    wait_for_all(other)
    being_written = temporary_files(sftp_settings)
    left = leave_behind(sftp_settings)
    monkeypatch.setattr("tallac.backends.temporary.time.time_ns", lambda now=time.time_ns: now() + 48 * 3600 * 10**9)
    store = SftpBackend(sftp_settings)
    store.put("slots/a", b"first", expect=Expect.ABSENT)
    assert store.get("slots/a") == b"first"
    assert being_written
    assert set(being_written) <= set(temporary_files(sftp_settings))
    assert not left.exists()


def test_a_failed_look_for_leftovers_fails_the_put_and_is_made_again(
    sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where leftovers can't be looked for, nothing is stored, and the next put looks again."""
    left = leave_behind(sftp_settings)
    store = SftpBackend(sftp_settings)
    with monkeypatch.context() as patch:
        make_request = SFTPClientHandler._make_request

        async def blind(handler: SFTPClientHandler, kind: int | bytes, *arguments: bytes) -> object:
            if kind == FXP_OPENDIR:
                raise asyncssh.SFTPPermissionDenied("it can't be read")
            return await make_request(handler, kind, *arguments)

        patch.setattr(SFTPClientHandler, "_make_request", blind)
        with pytest.raises(StoreError):
            store.put("slots/a", b"first", expect=Expect.ABSENT)
    assert store.get_versioned("slots/a") is None
    assert left.exists()
    store.put("slots/a", b"second", expect=Expect.ABSENT)
    store.leave()
    assert temporary_files(sftp_settings) == []


def test_what_was_prepared_is_put_in_fewer_waits(sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are sent and synced beside another swap spare the wait for that."""
    store = SftpBackend(sftp_settings)
    versions = [store.put(name, b"first", expect=Expect.ABSENT) for name in ("slots/a", "slots/b", "sessions/c")]
    rounds, counts = Rounds(monkeypatch), list[int]()
    store.prepare("slots/a", b"second a")
    store.prepare("slots/b", b"second b")
    puts = (("sessions/c", b"second c", versions[2]), ("slots/a", b"second a", versions[0]), ("slots/b", b"second b", versions[1]))
    for name, content, version in puts:
        before = rounds.count
        store.put(name, content, expect=version)
        counts.append(rounds.count - before)
    assert counts[0] <= 4 + 1
    assert counts[1:] == [3, 3]
    assert [store.get(name) for name, _, _ in puts] == [content for _, content, _ in puts]
    store.leave()
    assert temporary_files(sftp_settings) == []


def test_what_was_prepared_and_not_put_is_removed(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """What was prepared is no object, is put by nothing else than its bytes, and goes with the end."""
    version = store.put("slots/a", b"first", expect=Expect.ABSENT)
    store.prepare("slots/a", b"second")
    store.put("slots/b", b"other")
    assert {item.name for item in store.list("")} == {"slots/a", "slots/b"}
    version = store.put("slots/a", b"third", expect=version)
    with pytest.raises(ConflictError):
        store.put("slots/a", b"second", expect=b"another state")
    assert store.get_versioned("slots/a") == (b"third", version)
    store.prepare("slots/a", b"fourth")
    store.prepare("slots/a", b"fifth")
    store.leave()
    assert temporary_files(sftp_settings) == []


@pytest.mark.parametrize("beside", ["slots/b", "sessions/b"])
def test_what_was_prepared_is_written_anew_where_it_was_swept(sftp_settings: SftpSettings, beside: str) -> None:
    """Who finds that somebody took its file for a leftover writes it once more, in a folder that it has not written to yet, too."""
    version = SftpBackend(sftp_settings).put("slots/a", b"first", expect=Expect.ABSENT)
    store = SftpBackend(sftp_settings)
    store.put(beside, b"other")
    store.prepare("slots/a", b"second")
    wait_for_all(store)
    for path in temporary_files(sftp_settings):
        path.unlink()
    assert store.put("slots/a", b"second", expect=version)
    assert store.get("slots/a") == b"second"
    store.leave()
    assert temporary_files(sftp_settings) == []


@pytest.mark.parametrize("is_pack", [False, True])
def test_what_somebody_on_that_machine_has_swept_is_written_once_more(
    sftp_settings: SftpSettings, monkeypatch: pytest.MonkeyPatch, *, is_pack: bool
) -> None:
    """Who opens the same folder on the server's machine finds no lock on what is being written over SFTP, and removes it."""
    write, there = SftpSequences.write, [LocalBackend(Path(sftp_settings.path))]

    def written(sequences: SftpSequences, new: NewFile, parts: Iterable[Buffer], folders: Sequence[str]) -> None:
        write(sequences, new, parts, folders)
        if there:
            there.pop().put("slots/b", b"other")
            assert temporary_files(sftp_settings) == []

    store = SftpBackend(sftp_settings)
    version = store.put("slots/a", b"first", expect=Expect.ABSENT)
    store.add("packs/b", io.BytesIO(b"other"), 5)
    store.delete("packs/c")  # So none was made ahead.
    monkeypatch.setattr(SftpSequences, "write", written)
    if is_pack:
        store.add("packs/a", io.BytesIO(b"content"), 7)
    else:
        store.put("slots/a", b"content", expect=version)
    assert store.get("packs/a" if is_pack else "slots/a") == b"content"


def wait_for_all(store: SftpBackend) -> None:
    """Wait until all that is prepared has been written."""
    for _, making in list(store._sequences._prepared._making.values()):
        making.result()


def test_listings_do_not_wait_for_each_other(store: SftpBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two listings are under way at a time."""
    store.put("slots/a", b"first")
    names_in, both, events = Channel.names_in, asyncio.Barrier(2), list[str]()

    async def met(channel: Channel, folder: str) -> list[Found]:
        await asyncio.wait_for(both.wait(), 60)
        events.append("listing")
        found = await names_in(channel, folder)
        events.append("listed")
        return found

    monkeypatch.setattr(Channel, "names_in", met)
    with ThreadPoolExecutor(3) as threads:
        listings = [threads.submit(lambda: [item.name for item in store.list("slots/")]) for _ in range(2)]
        assert [each.result() for each in listings] == [["slots/a"]] * 2
    assert events[:2] == ["listing"] * 2


def temporary_files(settings: SftpSettings) -> list[Path]:
    """Return the files in the making."""
    return list(Path(settings.path).glob(".tmp-*"))


def test_a_file_made_ahead_is_used_or_removed(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """After a put a file for the next one is there: that takes it, a deletion or the end removes it, and it may be swept."""
    store.put("slots/a", b"first")
    made = temporary_files(sftp_settings)
    assert len(made) == 1
    assert made[0].stat().st_size == 0
    suite.store(store, "packs/a", b"pack")
    assert temporary_files(sftp_settings) == []
    ends: tuple[Callable[[], None], ...] = (lambda: store.delete("slots/b"), store.leave)
    for end in ends:
        store.put("slots/a", b"second")
        assert len(temporary_files(sftp_settings)) == 1
        end()
        assert store.get("slots/a") == b"second"
        assert temporary_files(sftp_settings) == []
    version = store.put("slots/a", b"third")
    for made_ahead in temporary_files(sftp_settings):
        made_ahead.unlink()
    version = store.put("slots/a", b"fourth", expect=version)
    assert store.get_versioned("slots/a") == (b"fourth", version)
    assert store.put("slots/c", b"fifth", expect=Expect.ABSENT)
    store.leave()


def test_a_long_listing_is_whole(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """A folder with more files than one answer tells is listed whole, and so are those below it."""
    made = {f"packs/{number:04}" for number in range(1500)} | {f"packs/{number:02}-/x" for number in range(20)}
    for name in made:
        path = Path(sftp_settings.path) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    listed = list(store.list("packs/"))
    assert {item.name for item in listed} == made
    assert len(listed) == len(made)
    assert all(item.size == len(item.name) for item in listed)


def test_it_is_a_vault_in_a_folder_too(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """What was written over SFTP is read and swapped on the machine itself as a folder, and the other way round."""
    here = LocalBackend(Path(sftp_settings.path))
    first = store.put("slots/a", b"first", expect=Expect.ABSENT)
    assert here.get_versioned("slots/a") == (b"first", first)
    second = here.put("slots/a", b"second", expect=first)
    with pytest.raises(ConflictError):
        store.put("slots/a", b"third", expect=first)
    assert store.get_versioned("slots/a") == (b"second", second)
    suite.store(store, "packs/ab", b"pack")
    assert here.get("packs/ab") == b"pack"
    assert not [name for name in os.listdir(sftp_settings.path) if name.startswith(".tmp")]
    assert (Path(sftp_settings.path) / "packs" / "ab").stat().st_mode & 0o777 == 0o600


def count_to_ten(client: Backend) -> None:
    """Advance a counter ten times."""
    for _ in range(10):
        suite.increment(client)


def test_clients_of_both_kinds_count_every_step(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """Of a counter that two connections and the machine itself advance by turns and at once, no step is lost."""
    other = pickle.loads(pickle.dumps(store))  # noqa: S301 - it was made here.
    clients: list[Backend] = [store, other, LocalBackend(Path(sftp_settings.path))]
    store.put("counter", b"0")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(count_to_ten, clients))
    assert store.get("counter") == b"30"


def test_empty_folders_of_former_probes_go(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """A day after a probe its folder goes, when the place is examined again; one with an object stays, and so does a young one."""
    now = int(time.time())
    empty, full, young = (f"{now - age:08x}01234567" for age in (90_000, 100_000, 80_000))
    folder = Path(sftp_settings.path, "probe")
    for name in (empty, full, young, "letter"):
        (folder / name).mkdir(parents=True)
    (folder / full / "a").write_bytes(b"first")
    store.examine()
    assert {path.name for path in folder.iterdir()} == {full, young, "letter"}
    assert (folder / full / "a").read_bytes() == b"first"


def test_what_killed_commands_left_is_nobodys_data(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """A place with folders and files of a probe, and files in the making, is empty; one with anything else is not."""
    root = Path(sftp_settings.path)
    (root / "probe" / "0123456789abcdef").mkdir(parents=True)
    (root / f".tmp-{'0f' * 16}").write_bytes(b"")
    (root / "lost+found").mkdir()
    assert store.is_empty()
    (root / "probe" / "0123456789abcdef" / "a").write_bytes(b"first")
    assert store.is_empty()
    for strange in ("probe/letter", ".tmp-letter", "letter"):
        (root / strange).write_bytes(b"")
        assert not store.is_empty()
        (root / strange).unlink()
    assert store.is_empty()


def test_racing_processes_leave_nothing(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """What each of them has made ahead goes at its end."""
    with racing_processes(RetryingBackend(store, Patience()), 2) as race:
        assert len(race(store, "probe/x", Expect.ABSENT, [b"one", b"two"])) == 1
    assert store.get("probe/x") in {b"one", b"two"}
    assert temporary_files(sftp_settings) == []


def test_a_good_server_is_accepted(store: SftpBackend, sftp_settings: SftpSettings) -> None:
    """OpenSSH's server does all that is needed, and nothing of the examination is left."""
    store.examine()
    assert os.listdir(sftp_settings.path) == []
    assert store.is_empty()


# Servers of another kind


def flawed(flaw: str) -> type[asyncssh.SFTPServer]:
    """Make an SFTP server with a flaw."""

    def fails_if(words: str) -> None:
        if flaw == words:
            raise asyncssh.SFTPOpUnsupported(words)

    class Flawed(asyncssh.SFTPServer):
        def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
            if flaw == "truncates" and pflags & asyncssh.FXF_EXCL:
                pflags = pflags & ~asyncssh.FXF_EXCL | asyncssh.FXF_TRUNC
            return super().open(path, pflags, attrs)

        def link(self, oldpath: bytes, newpath: bytes) -> Awaitable[None] | None:
            fails_if("no links")
            if flaw == "links replace" and os.path.exists(self.map_path(newpath)):
                os.unlink(self.map_path(newpath))
            return super().link(oldpath, newpath)

        def posix_rename(self, oldpath: bytes, newpath: bytes) -> Awaitable[None] | None:
            fails_if("no posix-rename")
            return super().posix_rename(oldpath, newpath)

        def fsync(self, file_obj: Any) -> Awaitable[None] | None:
            fails_if("no fsync")
            if flaw == "hangs":
                file_obj.close()
                return asyncio.get_running_loop().create_future()
            return super().fsync(file_obj)

    return Flawed


class OpenToAll(asyncssh.SSHServer):
    """A server that asks for no key."""

    connections: ClassVar[list[asyncssh.SSHServerConnection]] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Note the connection, to be closed at the end."""
        self.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        """Ask for nothing."""
        return False


@contextmanager
def other_server(folder: Path, flaw: str) -> Iterator[SftpSettings]:
    """Run an SFTP server with a flaw, in this process, for the length of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    key = asyncssh.generate_private_key("ssh-ed25519")

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            OpenToAll, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=flawed(flaw), sftp_version=3
        )

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{acceptor.get_port()} {key.export_public_key().decode()}")
    (folder / "config").write_text("")
    (folder / "served").mkdir()
    yield SftpSettings(
        host="127.0.0.1",
        port=acceptor.get_port(),
        path=str(folder / "served"),
        known_hosts=str(known),
        ssh_config=str(folder / "config"),
    )

    async def end() -> None:
        acceptor.close()
        while OpenToAll.connections:
            connection = OpenToAll.connections.pop()
            connection.abort()
            await connection.wait_closed()
        await acceptor.wait_closed()  # Since Python 3.12 this waits for all connections.

    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


FLAWS = {
    "truncates": "it opens a file that exists as if it were new",
    "no links": "files can't have second names (hardlink)",
    "links replace": "it gives a file a name that another one has",
    "no posix-rename": "files can't replace others (posix-rename)",
    "no fsync": "files can't be created and made durable (fsync)",
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_server_that_would_lose_data_is_refused(tmp_path: Path, flaw: str) -> None:
    """What it does wrong is named, and nothing is left there."""
    with other_server(tmp_path, flaw) as settings:
        with pytest.raises(UnsafeStoreError) as raised:
            SftpBackend(settings).examine()
        assert FLAWS[flaw] in str(raised.value)
        assert os.listdir(settings.path) == []


def test_another_good_server_is_accepted(tmp_path: Path) -> None:
    """The test above can fail: without a flaw that server is no worse than OpenSSH's."""
    with other_server(tmp_path, "none") as settings:
        store = SftpBackend(settings)
        store.examine()
        version = store.put("slots/a", b"first", expect=Expect.ABSENT)
        store.put("slots/a", b"second", expect=version)
        assert store.get("slots/a") == b"second"


# Errors


def message_of(call: Callable[[], object], kind: type[StoreError]) -> str:
    """Return the one line that a call fails with."""
    with pytest.raises(kind) as raised:
        call()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_is_wrong_with_a_machine(sftp_settings: SftpSettings, sshd: SshServer, tmp_path: Path) -> None:
    """A key that changed, one that is not known, a refused user, a machine that is down or not there: each has its line."""

    def get(**changes: object) -> Callable[[], object]:
        return lambda: SftpBackend(msgspec.structs.replace(sftp_settings, **changes)).get("a")

    empty = tmp_path / "empty"
    empty.write_text("")
    assert "the key of 127.0.0.1 is not known; connect once with `ssh`" in message_of(
        get(known_hosts=str(empty)), StorePermissionError
    )
    other = " ".join(make_key(tmp_path / "other").split()[:2])
    changed = tmp_path / "changed"
    changed.write_text(f"[127.0.0.1]:{sshd.port} {other}\n")
    message = message_of(get(known_hosts=str(changed)), StorePermissionError)
    assert "shows another key than the known one: somebody may pretend to be it" in message
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in message
    assert "accepts none of your keys" in message_of(get(identity=str(tmp_path / "other")), StorePermissionError)
    message_of(get(identity=str(tmp_path / "none")), StoreError)
    assert "(connection refused)" in message_of(get(port=free_port()), StoreUnavailableError)
    assert "there is no host no-such-host.invalid" in message_of(get(host="no-such-host.invalid"), StoreUnavailableError)
    assert "there is no folder /no/such/folder on that machine" in message_of(get(path="/no/such/folder"), VaultNotFoundError)


def test_what_was_open_over_a_broken_connection_is_opened_anew(store: SftpBackend) -> None:
    """A pack that was read before is read again over a new connection, which stays."""
    suite.store(store, "packs/a", b"0123456789")
    assert store.get("packs/a", 2, 4) == b"23"
    session = store._calls._session
    connection = session._link.connection
    assert connection is not None
    loop = session._loop
    assert loop is not None
    loop.call_soon_threadsafe(connection.abort)
    backend = RetryingBackend(store, Patience(20))
    assert backend.get_versioned("packs/a") is not None
    channel = session._link.channel
    assert backend.get("packs/a", 4, 6) == b"45"
    assert session._link.channel is channel


def test_a_connection_that_breaks_is_made_anew(tmp_path: Path) -> None:
    """A server that is gone for a moment costs no write, and doubles none."""
    folder = tmp_path / "server"
    folder.mkdir()
    (tmp_path / "served").mkdir()
    server = start_sshd(folder)
    settings = SftpSettings(
        host="127.0.0.1",
        port=server.port,
        path=str(tmp_path / "served"),
        identity=str(folder / "client"),
        known_hosts=str(folder / "known_hosts"),
        ssh_config=str(folder / "ssh_config"),
    )
    backend = RetryingBackend(SftpBackend(settings), Patience(60))
    version = backend.put("slots/a", b"first", expect=Expect.ABSENT)
    suite.store(backend, "packs/a", b"0123456789")
    assert backend.get("packs/a", 2, 4) == b"23"
    stop(server.process)

    server = start_sshd(folder, server.port)
    try:
        version = backend.put("slots/a", b"second", expect=version)
        assert backend.get_versioned("slots/a") == (b"second", version)
        assert backend.get("packs/a", 4, 6) == b"45"
    finally:
        stop(server.process)


def test_the_event_loop_says_nothing_of_a_broken_connection(store: SftpBackend, caplog: pytest.LogCaptureFixture) -> None:
    """Many requests may be on their way when a connection breaks; it is found out and mended, and not worth a line for each."""
    assert store.is_empty()
    logger = logging.getLogger("asyncio")
    with caplog.at_level(logging.WARNING, "asyncio"):
        logger.warning("socket.send() raised exception.")
        logger.warning("something else")
    assert caplog.messages == ["something else"]


def test_a_connection_is_made_while_an_object_is_collected(sftp_settings: SftpSettings) -> None:
    """Whoever begins an upload is connected, or about to be, before the first byte is to be sent, within limits too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        store = SftpBackend(msgspec.structs.replace(sftp_settings, port=listener.getsockname()[1]))
        limits = SharedLimits(Limits(connections=2))
        backend = RetryingBackend(LimitedBackend(store, limits), Patience(0))
        upload = backend.upload()
        listener.accept()[0].close()
        upload.abort()
        limits.remove()


def test_what_goes_wrong_ahead_is_said_once(sftp_settings: SftpSettings) -> None:
    """The first call after a connection was begun ahead waits for that, and fails as it did; the next one tries anew."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        store = SftpBackend(msgspec.structs.replace(sftp_settings, port=listener.getsockname()[1]))
        store.connect_ahead()
        connection, _ = listener.accept()
        with ThreadPoolExecutor() as executor:
            call = executor.submit(store.is_empty)
            connection.close()
            with pytest.raises(StoreUnavailableError):
                call.result()
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.accept()
            listener.settimeout(30)
            call = executor.submit(store.is_empty)
            listener.accept()[0].close()
            with pytest.raises(StoreUnavailableError):
                call.result()


@pytest.mark.parametrize(("names", "sent"), [(("client",), 1), (("stranger", "client"), 3)])
def test_the_first_key_signs_at_once(
    sftp_settings: SftpSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], sent: int
) -> None:
    """A key that the server knows is one request, before it has answered the one for the service; it is asked about other keys."""
    folder = Path(sftp_settings.identity).parent
    make_key(tmp_path / "stranger")
    config = tmp_path / "config"
    paths = [folder / name if name == "client" else tmp_path / name for name in names]
    config.write_text("".join(f"IdentityFile {path}\n" for path in paths))
    packets: list[int] = []
    send, granted = SSHConnection.send_packet, SSHConnection._process_service_accept

    def recorded(self: SSHConnection, kind: int, *arguments: bytes, **named: Any) -> None:
        packets.append(kind)
        send(self, kind, *arguments, **named)

    def granting(self: SSHConnection, *arguments: Any) -> None:
        packets.append(MSG_SERVICE_ACCEPT)
        granted(self, *arguments)

    monkeypatch.setattr(SSHConnection, "send_packet", recorded)
    monkeypatch.setitem(SSHConnection._packet_handlers, MSG_SERVICE_ACCEPT, granting)
    store = SftpBackend(msgspec.structs.replace(sftp_settings, identity="", ssh_config=str(config)))
    assert store.is_empty()
    assert packets.count(MSG_USERAUTH_REQUEST) == sent
    assert packets.index(MSG_USERAUTH_REQUEST) < packets.index(MSG_SERVICE_ACCEPT)


def test_a_key_that_the_server_must_choose_for_is_asked_about(sftp_settings: SftpSettings, sshd: SshServer, tmp_path: Path) -> None:
    """RSA keys sign in several ways, and what the server takes has not been heard when a key would sign at once."""
    key = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", key], check=True, stdin=subprocess.DEVNULL)
    known = sshd.folder / "authorized_keys"
    before = known.read_text()
    known.write_text(before + key.with_suffix(".pub").read_text())
    try:
        assert SftpBackend(msgspec.structs.replace(sftp_settings, identity=str(key))).is_empty()
    finally:
        known.write_text(before)


@pytest.mark.parametrize(("config", "cipher"), [("", "aes256-gcm@openssh.com"), ("Ciphers aes128-ctr\n", "aes128-ctr")])
def test_the_users_ciphers_come_first(
    sftp_settings: SftpSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, cipher: str
) -> None:
    """A cipher that the processor is made for is asked for, unless the user's configuration names others."""
    monkeypatch.setattr(sftp_login, "_has_aes", lambda: True)
    path = tmp_path / "config"
    path.write_text(config)
    store = SftpBackend(msgspec.structs.replace(sftp_settings, ssh_config=str(path)))
    assert store.is_empty()
    connection = store._session._link.connection
    assert connection is not None
    assert connection.get_extra_info("send_cipher") == cipher


def test_what_is_configured_for_shells_is_left_out(
    sftp_settings: SftpSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a configuration for shells no command runs on the server, and no terminal, display or agent is asked for or lent."""
    path = tmp_path / "config"
    path.write_text(
        f"RemoteCommand touch {tmp_path}/was-run\nRequestTTY force\nForwardX11 yes\nForwardX11Trusted yes\nForwardAgent yes\n"
    )
    monkeypatch.setenv("DISPLAY", "127.0.0.1:99")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    requests: list[bytes] = []
    send = SSHChannel._send_request

    def recorded(self: SSHChannel[Any], request: bytes, *arguments: bytes, **named: Any) -> None:
        requests.append(request)
        send(self, request, *arguments, **named)

    monkeypatch.setattr(SSHChannel, "_send_request", recorded)
    assert SftpBackend(msgspec.structs.replace(sftp_settings, ssh_config=str(path))).is_empty()
    assert requests == [b"subsystem"]
    assert not (tmp_path / "was-run").exists()


# Commands


@pytest.mark.slow
def test_a_vault_from_beginning_to_end(tallac: Tallac, sshd: SshServer, source: Path, tmp_path: Path) -> None:
    """Everything works as in a folder; the vault is one, and a mirror of it restores."""
    url = sshd.url(tmp_path / "there" / "vault")
    assert f"created a vault in {url}" in tallac("init", url, *sshd.options).err
    tallac("backup", source)
    (source / "parent" / "blah.txt").write_text("changed")
    tallac("backup", source)
    assert len(tallac("snapshots").lines) == 3
    tallac("restore", "Latest", tmp_path / "restored")
    assert (tmp_path / "restored" / "parent" / "blah.txt").read_text() == "changed"
    assert (tmp_path / "restored" / "parent" / "subdir" / "bar.txt").read_text() == "bar\n" * 1000
    tallac("forget", "tallac:", "--keep-last", "1")
    tallac("prune", "--max-unused", "0")
    tallac("check", "--read-data", "tallac:")
    tallac("check", "--read-data", "--vault", tmp_path / "there" / "vault")
    tallac("mirror", "tallac:", tmp_path / "mirror")
    tallac("check", "--read-data", "--vault", tmp_path / "mirror")
    assert b"NO" not in tallac("check-store", "--quick", url).out
    assert tallac("ls", "Latest", "-v").error_lines[-1].endswith("received")
