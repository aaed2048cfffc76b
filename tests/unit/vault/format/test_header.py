import pytest

from tallac.backends.memory import MemoryBackend
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConflictError, CorruptObjectError, StoreError, UnsupportedFormatError, VaultNotFoundError
from tallac.vault.format.header import HEADER_NAMES, Header, check_headers, read_header, write_header

IDENTITY = "0123456789abcdef" * 2
WHOLE = Header(1, IDENTITY).encode()
NEWER = b"tallac vault\nformat 2\nsomething else\n"


@pytest.fixture
def backend() -> MemoryBackend:
    """Give a backend with a header in it."""
    backend = MemoryBackend()
    write_header(backend, Header(1, IDENTITY))
    return backend


def test_both_copies_are_written_once(backend: MemoryBackend) -> None:
    """A header is kept twice, and never replaced."""
    assert [backend.get(name) for name in HEADER_NAMES] == [WHOLE, WHOLE]
    with pytest.raises(ConflictError):
        write_header(backend, Header(1, IDENTITY))


@pytest.mark.parametrize("name", HEADER_NAMES)
def test_the_other_copy_serves(backend: MemoryBackend, name: str) -> None:
    """Whatever bit of one copy changes, or wherever it is cut, the other one is read, and a check names the damaged one."""
    damaged = [WHOLE[:length] for length in range(len(WHOLE))]
    for bit in range(8 * len(WHOLE)):
        changed = bytearray(WHOLE)
        changed[bit >> 3] ^= 1 << (bit & 7)
        damaged.append(bytes(changed))
    for content in [*damaged, WHOLE + b"\n"]:
        backend.put(name, content)
        assert read_header(backend) == Header(1, IDENTITY)
        assert check_headers(backend, IDENTITY) == [f"{name} is damaged"]
    backend.delete(name)
    assert read_header(backend) == Header(1, IDENTITY)
    assert check_headers(backend, IDENTITY) == [f"{name} is missing"]


@pytest.mark.parametrize("copy", HEADER_NAMES)
def test_a_newer_format_is_left_alone(backend: MemoryBackend, copy: str) -> None:
    """A larger format whose check is right goes before the other copy; without a check it still is no damage."""
    checked = NEWER + b"check " + hash_file_bytes(NEWER).hex()[:16].encode() + b"\n"
    backend.put("header", checked)
    with pytest.raises(UnsupportedFormatError, match="needs a newer Tallac: update it"):
        read_header(backend)
    for name in HEADER_NAMES:
        backend.put(name, NEWER if name == copy else b"tallac vault\nformat 1\n")
    with pytest.raises(UnsupportedFormatError):
        read_header(backend)


def test_what_is_no_vault() -> None:
    """Nothing, and something else, are no vault; two damaged copies are damage."""
    backend = MemoryBackend()
    with pytest.raises(VaultNotFoundError, match="holds no vault"):
        read_header(backend)
    backend.put("header", b"something else")
    with pytest.raises(VaultNotFoundError):
        read_header(backend)
    # The identity becomes a folder's name in the client's state: it must never lead out of it.
    for damaged in (WHOLE[:-2], Header(1, "../../../../../../../home/me/abc").encode()):
        for name in HEADER_NAMES:
            backend.put(name, damaged)
        with pytest.raises(CorruptObjectError):
            read_header(backend)
    for name in HEADER_NAMES:
        backend.put(name, WHOLE[:-2])
    with pytest.raises(CorruptObjectError):
        read_header(backend)


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"tallac vault", b"tallac vault\n", b"tallac vault\nformat \xb2\n", b"tallac vault\n\n\n\n"]
)
def test_only_declared_errors(text: bytes) -> None:
    """Whatever stands in a header, a StoreError comes of it."""
    backend = MemoryBackend()
    backend.put("header", text)
    with pytest.raises(StoreError):
        read_header(backend)
