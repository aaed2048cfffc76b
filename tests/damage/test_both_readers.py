"""Whatever happens to one stored object, Tallac and the second reader agree on what can still be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.formats.second_reader import Vault as SecondVault
from tests.formats.second_values import FormatError
from tests.vectors.test_vault_vectors import WRITER, pinned, pinned_objects, texts

from tallac.backends.memory import MemoryBackend
from tallac.caps import DirectoryReadCap, FileReadCap, WriteCap, parse
from tallac.errors import DamageError, TallacError
from tallac.testing.sample_vault import read_file
from tallac.vault.vault import open_vault

NAMES = sorted(pinned_objects())
# Of a file its content, of a directory its names; None for what can't be read.
Readable = dict[str, bytes | list[bytes] | None]


def by_the_second_reader(stored: dict[str, bytes], caps: dict[str, str]) -> Readable:
    """Read all that the caps lead to by the second reader."""
    found: Readable = dict.fromkeys(caps)
    try:
        vault = SecondVault(stored, WRITER.danger_whole_text())
    except FormatError:
        return found
    for name, cap in caps.items():
        try:
            if cap.startswith("URI:DIR2"):
                found[name] = [entry.name for entry in vault.directory(cap)]
            else:
                found[name] = b"".join(bytes(size) if chunk is None else chunk for size, chunk in vault.chunks(cap))
        except FormatError:
            continue
    return found


def by_tallac(stored: dict[str, bytes], caps: dict[str, str], state: Path) -> Readable:
    """Read the same by Tallac, on a machine that has seen nothing."""
    found: Readable = dict.fromkeys(caps)
    try:
        vault = open_vault(MemoryBackend(stored), WRITER, state=state)
    except TallacError:
        return found
    with vault:
        for name, text in caps.items():
            cap = parse(text)
            cap = cap.read_cap if isinstance(cap, WriteCap) else cap
            try:
                if isinstance(cap, DirectoryReadCap):
                    found[name] = [entry.name for entry in vault.read_directory(cap)]
                elif isinstance(cap, FileReadCap):
                    content = read_file(vault, cap)
                    found[name] = None if isinstance(content, DamageError) else content
            except DamageError:
                continue
    return found


def removed(_: bytes) -> bytes | None:
    """Remove it."""
    return None


def cut(data: bytes) -> bytes:
    """Cut off its last byte."""
    return data[:-1]


def flipped(data: bytes) -> bytes:
    """Change one bit in its middle."""
    middle = len(data) // 2
    return data[:middle] + bytes((data[middle] ^ 1,)) + data[middle + 1 :]


def flipped_at_the_end(data: bytes) -> bytes:
    """Change one bit of its last byte, which in a pack is the trailer's."""
    return data[:-1] + bytes((data[-1] ^ 1,))


@pytest.mark.slow
@pytest.mark.parametrize("harm", [removed, cut, flipped, flipped_at_the_end])
@pytest.mark.parametrize("name", NAMES)
def test_both_read_the_same(name: str, harm: Callable[[bytes], bytes | None], tmp_path: Path) -> None:
    """One of the stored objects is lost, cut off, or has a wrong bit: both read what is left, and the same of it."""
    caps, whole = texts(pinned(), "caps"), pinned_objects()
    stored = dict(whole)
    changed = harm(stored.pop(name))
    if changed is not None:
        stored[name] = changed
    found = by_the_second_reader(stored, caps)
    assert by_tallac(stored, caps, tmp_path) == found
    # What one object's harm does: packs and slots are what is read, and everything else can be made good.
    if not name.startswith(("packs/", "slots/")):
        assert None not in found.values()
