from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryWriteCap, FileWriteCap, MutableDirectoryWrite, MutableFileWrite, MutableFormat
from tallac.dag import Entry, Metadata
from tallac.errors import AuthorityError, MalformedObjectError, MissingObjectError, NotADirectoryCapError, RollbackDetectedError
from tallac.testing.sample_vault import noise, read_file
from tallac.transfer.files import put_file
from tallac.transfer.place import Place
from tallac.vault.format.keys import WriterKey
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import Vault, create_vault, open_vault

SMALL = b"s" * 100
LARGE = noise(1, 1_500_000)


@pytest.fixture
def backend() -> MemoryBackend:
    """Give a place for a vault."""
    return MemoryBackend()


@pytest.fixture
def key(backend: MemoryBackend) -> WriterKey:
    """Make a vault there, and give its key."""
    return create_vault(backend)


@pytest.fixture
def vault(backend: MemoryBackend, key: WriterKey, tmp_path: Path) -> Iterator[Vault]:
    """Open the vault."""
    with open_vault(backend, key, state=tmp_path) as opened:
        yield opened


def _create(vault: Vault, content: bytes, mutable_format: MutableFormat = MutableFormat.SDMF) -> MutableFileWrite:
    cap = vault.create_file(io.BytesIO(content), mutable_format)
    assert isinstance(cap, MutableFileWrite)
    return cap


@pytest.mark.parametrize("content", [b"", b"literal", SMALL, LARGE], ids=len)
@pytest.mark.parametrize("mutable_format", MutableFormat)
def test_content_is_read_back(vault: Vault, content: bytes, mutable_format: MutableFormat) -> None:
    """A file of any size is what was put into it, and what it is given afterwards; its cap stays, and is of its format."""
    cap = _create(vault, content, mutable_format)
    assert cap.format is mutable_format
    assert read_file(vault, cap.read_cap) == content
    vault.write_file(cap, io.BytesIO(LARGE[::-1]))
    assert read_file(vault, cap.read_cap) == LARGE[::-1]


@pytest.mark.parametrize("old", [b"", SMALL, LARGE], ids=len)
@pytest.mark.parametrize("new", [b"", b"new", LARGE[:700_000]], ids=len)
@pytest.mark.parametrize("place", [0, 50, 100, 1000, 1_400_000])
def test_writing_over_a_part(vault: Vault, old: bytes, new: bytes, place: int) -> None:
    """What is written at an offset takes the place of what was there; the rest stays, and zeros fill what nobody wrote."""
    cap = _create(vault, old)
    vault.write_file(cap, io.BytesIO(new), offset=place)
    expected = bytearray(old.ljust(place, b"\0"))
    expected[place : place + len(new)] = new
    assert read_file(vault, cap.read_cap) == bytes(expected)


def test_two_at_once(backend: MemoryBackend, vault: Vault, key: WriterKey, tmp_path: Path) -> None:
    """Who writes while another one writes finds the other's content, and adds to it."""
    cap = _create(vault, SMALL)

    class Racing(io.BytesIO):
        """A content during whose reading another client writes."""

        def readinto(self, buffer: object, /) -> int:
            with open_vault(backend, key, state=tmp_path / "other") as other:
                other.write_file(cap, io.BytesIO(b"B"), offset=1)
            return super().readinto(buffer)  # type: ignore[arg-type]

    vault.write_file(cap, Racing(b"A"), offset=0)
    assert read_file(vault, cap.read_cap) == b"AB" + SMALL[2:]


@pytest.mark.parametrize(
    "attempt",
    [
        lambda vault, directory: list(vault.read_directory(directory.read_cap)),
        lambda vault, directory: vault.edit_directory(directory, lambda entries: [*entries, Entry(b"new", b"L")]),
    ],
    ids=["read", "edit"],
)
def test_a_file_is_no_directory(vault: Vault, attempt: Callable[[Vault, DirectoryWriteCap], object]) -> None:
    """Who makes a directory's cap out of a file's can neither list nor change it."""
    cap = _create(vault, SMALL)
    with pytest.raises(NotADirectoryCapError):
        attempt(vault, MutableDirectoryWrite(cap.writekey, cap.fingerprint))
    assert read_file(vault, cap.read_cap) == SMALL


def test_a_directory_is_no_file(vault: Vault) -> None:
    """Who makes a file's cap out of a directory's can neither read nor replace it."""
    made = vault.create_directory()
    assert isinstance(made, MutableDirectoryWrite)
    cap = MutableFileWrite(made.writekey, made.fingerprint)
    assert not isinstance(read_file(vault, cap.read_cap), bytes)
    with pytest.raises(MalformedObjectError, match="no mutable file"):
        vault.write_file(cap, io.BytesIO(SMALL))
    assert list(vault.read_directory(made.read_cap)) == []


def test_caps_of_others(vault: Vault) -> None:
    """A file that is not here is missing, and one of another kind of grid is refused."""
    elsewhere = MutableFileWrite(bytes(16), bytes(32))
    assert isinstance(read_file(vault, elsewhere.read_cap), MissingObjectError)
    with pytest.raises(MissingObjectError):
        vault.write_file(elsewhere, io.BytesIO(SMALL))

    class Foreign(FileWriteCap, frozen=True):
        kind = "foreign"
        verify_cap = None
        read_cap = elsewhere.read_cap

        def danger_whole_text(self) -> str:
            return "URI:FOREIGN:"

    with pytest.raises(AuthorityError):
        vault.write_file(Foreign(), io.BytesIO(SMALL))


def test_prune_keeps_what_files_hold(vault: Vault) -> None:
    """A prune follows mutable files, linked or not: their present content stays, and what they held before goes."""
    small, large = _create(vault, SMALL), _create(vault, LARGE)
    directory = vault.create_directory()
    vault.edit_directory(directory, lambda entries: [*entries, Entry.of(b"small", small)])
    vault.write_file(large, io.BytesIO(LARGE[::-1]))
    report = Prune(vault.components, PruneOptions(unused_max=0)).run()
    assert report.freed_bytes > len(LARGE) // 2
    assert read_file(vault, small.read_cap) == SMALL
    assert read_file(vault, large.read_cap) == LARGE[::-1]


def test_check_looks_into_files(backend: MemoryBackend, vault: Vault) -> None:
    """A check goes through a mutable file to its content, by any of its caps, and names what is lost in it."""
    cap = _create(vault, SMALL)
    directory = vault.create_directory()
    vault.edit_directory(directory, lambda entries: [*entries, Entry.of(b"file", cap)])
    verify = cap.read_cap.verify_cap
    caps = [cap, cap.read_cap, verify, directory]
    assert [vault.check(each, read_data=True).is_healthy for each in caps] == [True] * 4
    for item in list(backend.list("packs/")):
        backend.delete(item.name)
    reports = [vault.check(each, read_data=True) for each in caps]
    assert [report.is_healthy for report in reports] == [False] * 4
    assert reports[-1].findings[0].path == b"file"


def test_rolled_back_files_are_refused(backend: MemoryBackend, vault: Vault) -> None:
    """A client that has seen a later content is not given an earlier one."""
    cap = _create(vault, SMALL)
    [name] = [item.name for item in backend.list("slots/")]
    before = backend.get(name)
    vault.write_file(cap, io.BytesIO(b"later"))
    backend.put(name, before)
    with pytest.raises(RollbackDetectedError):
        vault.open_file(cap.read_cap)


def test_putting_over_a_mutable_file(vault: Vault) -> None:
    """What is put where a mutable file is becomes its content, and its cap stays."""
    cap = _create(vault, SMALL)
    directory = vault.create_directory()
    vault.edit_directory(directory, lambda entries: [*entries, Entry.of(b"file", cap)])
    assert put_file(vault, Place(directory, (b"file",), "home:"), io.BytesIO(b"new"), Metadata()) == cap.read_cap
    assert read_file(vault, cap.read_cap) == b"new"
    [entry] = vault.edit_directory(directory, list)
    assert entry.write == cap.danger_whole_text().encode()
