import msgspec
import pytest

from tallac.backends.memory import MemoryBackend
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import (
    AuthorityError,
    ConflictError,
    CorruptObjectError,
    StoreError,
    UnsupportedFormatError,
    VaultNotFoundError,
)
from tallac.vault.format.header import (
    HEADER_NAMES,
    Header,
    check_headers,
    decode_header,
    prove,
    read_header,
    repair_headers,
    write_header,
)
from tallac.vault.format.keys import EnvelopeKey, KeeperKey, LocatorKey, WriterKey
from tallac.vault.format.structure import Signers

KEY = WriterKey(bytes(range(32)))
OTHER = WriterKey(bytes(reversed(range(32))))
HEADER = Header.of(KEY)
IDENTITY = HEADER.identity
WHOLE = HEADER.encode()
NEWER = b"tallac vault\nformat 3\nsomething else\n"


def with_check(lines: bytes) -> bytes:
    """Return lines with the check that everybody can compute."""
    return lines + b"check " + hash_file_bytes(lines).hex()[:16].encode() + b"\n"


@pytest.fixture
def backend() -> MemoryBackend:
    """Give a backend with a header in it."""
    backend = MemoryBackend()
    write_header(backend, HEADER)
    return backend


def test_both_copies_are_written_once(backend: MemoryBackend) -> None:
    """A header is kept twice, and never replaced."""
    assert [backend.get(name) for name in HEADER_NAMES] == [WHOLE, WHOLE]
    with pytest.raises(ConflictError):
        write_header(backend, HEADER)


@pytest.mark.parametrize("name", HEADER_NAMES)
def test_the_other_copy_serves(backend: MemoryBackend, name: str) -> None:
    """Whatever bit of one copy changes, or wherever it is cut, the other one is read, and a check names the damaged one."""
    damaged = [WHOLE[:length] for length in range(0, len(WHOLE), 7)]
    for bit in range(8 * len(WHOLE)):
        changed = bytearray(WHOLE)
        changed[bit >> 3] ^= 1 << (bit & 7)
        damaged.append(bytes(changed))
    for content in [*damaged, WHOLE + b"\n"]:
        backend.put(name, content)
        assert read_header(backend) == HEADER
        assert check_headers(backend, IDENTITY) == [f"{name} is damaged"]
    backend.delete(name)
    assert read_header(backend) == HEADER
    assert check_headers(backend, IDENTITY) == [f"{name} is missing"]


@pytest.mark.parametrize("copy", HEADER_NAMES)
def test_a_newer_format_is_left_alone(backend: MemoryBackend, copy: str) -> None:
    """A larger format whose check is right goes before the other copy; without a check it still is no damage."""
    backend.put("header", with_check(NEWER))
    with pytest.raises(UnsupportedFormatError, match="needs a newer Tallac: update it"):
        read_header(backend)
    for name in HEADER_NAMES:
        backend.put(name, NEWER if name == copy else b"tallac vault\nformat 2\n")
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


def test_the_lines_of_a_header() -> None:
    """A header says what the page on the format says, in this order."""
    lines = WHOLE.decode("ascii").split("\n")
    assert lines[:3] == ["tallac vault", "format 2", f"id {KEY.vault.hex()}"]
    assert lines[3] == f"writer {KEY.signer.public.hex()}"
    assert lines[4] == f"keeper {KEY.keeper_key.signer.public.hex()}"
    assert lines[5] == f"locator {KEY.locator_key.check.hex()}"
    signed = WHOLE[: WHOLE.index(b"signature")]
    assert lines[6] == f"signature {KEY.signer.sign(signed).hex()}"
    assert with_check(WHOLE[: WHOLE.index(b"check")]) == WHOLE
    assert decode_header(WHOLE, "somewhere") == HEADER


def forgeries() -> list[Header]:
    """Return headers that anybody can write who has no key of the vault."""
    mine, own = HEADER.signers, Header.of(OTHER)
    forged = [
        # The id of one vault on the signers of another, signed by these.
        Header(Signers(mine.vault, own.signers.writer, own.signers.keeper), own.locator_check, b""),
        # Another keeper, and another locator key, under the vault's own writer.
        Header(Signers(mine.vault, mine.writer, own.signers.keeper), HEADER.locator_check, b""),
        Header(mine, own.locator_check, b""),
    ]
    signed = [msgspec.structs.replace(header, signature=OTHER.signer.sign(b"anything")) for header in forged]
    signed += [msgspec.structs.replace(header, signature=HEADER.signature) for header in forged]
    for header in forged:
        text = msgspec.structs.replace(header, signature=bytes(64)).encode()
        signed.append(msgspec.structs.replace(header, signature=OTHER.signer.sign(text[: text.index(b"signature")])))
    return signed


@pytest.mark.parametrize("forged", forgeries())
def test_nobody_makes_up_a_header(forged: Header) -> None:
    """A header is damaged whose id does not follow from its signers, or that its writer has not signed, whatever its check."""
    text = forged.encode()
    assert text == with_check(text[: text.index(b"check")])
    with pytest.raises(CorruptObjectError):
        decode_header(text, "somewhere")
    backend = MemoryBackend()
    backend.put("header", text)
    backend.put("header.copy", WHOLE)
    assert read_header(backend) == HEADER
    assert check_headers(backend, IDENTITY) == ["header is damaged"]
    assert repair_headers(backend, HEADER, is_dry_run=False) == ["header"]
    assert backend.get("header") == WHOLE


@pytest.mark.parametrize("key", [KEY, KEY.keeper_key, KEY.locator_key, EnvelopeKey(bytes(32), KEY.vault)])
def test_a_key_proves_itself(key: WriterKey | KeeperKey | LocatorKey | EnvelopeKey) -> None:
    """Each key of a vault belongs to its header, and none to that of another vault."""
    prove(HEADER, key, "somewhere")
    with pytest.raises(AuthorityError, match=f"somewhere: this {key.kind} key belongs to the vault {KEY.vault.hex()[:12]}"):
        prove(Header.of(OTHER), key, "somewhere")


@pytest.mark.parametrize("key", [KeeperKey(bytes(32), KEY.vault), LocatorKey(bytes(32), KEY.vault)])
def test_a_key_that_only_names_the_vault(key: KeeperKey | LocatorKey) -> None:
    """A key that somebody made up for a vault is refused, although it bears the vault's id."""
    with pytest.raises(AuthorityError, match="somebody made it up"):
        prove(HEADER, key, "somewhere")


def test_another_vaults_header_is_left_alone() -> None:
    """A repair replaces what is damaged, and neither another vault's header nor another format's."""
    for other in (Header.of(OTHER).encode(), with_check(NEWER), with_check(b"tallac vault\nformat 1\nid 0\n")):
        backend = MemoryBackend()
        backend.put("header", other)
        with pytest.raises(UnsupportedFormatError):
            repair_headers(backend, HEADER, is_dry_run=False)
        assert backend.get("header") == other
