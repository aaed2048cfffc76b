"""Read the objects of one pack in the order in which they lie there, each byte at most once, in blocks of some MiB."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError, StoreError
from tallac.interfaces import Backend
from tallac.vault.format.footers import FooterEntry
from tallac.vault.marking.copies import is_right
from tallac.vault.packs.pack import pack_path

STEP_SIZE = 4 << 20
_SINGLE_MAX = 64


def read_objects(
    backend: Backend, pack: bytes, entries: Sequence[FooterEntry], count: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[FooterEntry, memoryview, memoryview]]:
    """Iterate over some objects of a pack, in ascending order of their offsets, with their content and links as they are stored.

    Args:
        backend: Where the pack is.
        pack: Its name.
        entries: Which objects, as its footer or the index lists them.
        count: Called with the size of each block that was read.

    Raises:
        MissingObjectError: The pack is not there.
        CorruptObjectError: It ends before an object does.
    """
    start, block, end = 0, memoryview(b""), entries[-1].end if entries else 0
    for entry in entries:
        stop = entry.end
        if entry.offset < start or stop > start + len(block):
            start = entry.offset
            try:
                block = memoryview(backend.get(pack_path(pack), start, max(stop, min(start + STEP_SIZE, end))))
            except ObjectNotFoundError:
                raise MissingObjectError(f"pack {pack.hex()[:12]} in {backend.location()} is missing") from None
            count(len(block))
            if start + len(block) < stop:
                raise CorruptObjectError(f"pack {pack.hex()[:12]} in {backend.location()} is cut short")
        whole = block[entry.offset - start : stop - start]
        yield entry, whole[: entry.length], whole[entry.length :]


def wrong_objects(
    backend: Backend, pack: bytes, entries: Sequence[FooterEntry], count: Callable[[int], None] = lambda _: None
) -> set[int]:
    """Read objects of a pack, and return the offsets of those whose bytes don't have the hash that is listed, or can't be read.

    Args, and raises MissingObjectError: As `read_objects`.
    """
    wrong: set[int] = set()
    left = entries
    while left:
        done = 0
        try:
            for entry, content, links in read_objects(backend, pack, left, count):
                if not is_right(entry.hash, content, links):
                    wrong.add(entry.offset)
                done += 1
            return wrong
        except MissingObjectError:
            raise
        except StoreError:
            # What can't be read is found out one by one, where a disk does not give out some sector.
            wrong.update(entry.offset for entry in left[done : done + _SINGLE_MAX] if not _is_right_alone(backend, pack, entry))
            left = left[done + _SINGLE_MAX :]
    return wrong


def _is_right_alone(backend: Backend, pack: bytes, entry: FooterEntry) -> bool:
    stop = entry.end
    try:
        whole = backend.get(pack_path(pack), entry.offset, stop)
    except StoreError:
        return False
    return entry.offset + len(whole) == stop and is_right(entry.hash, whole[: entry.length], whole[entry.length :])
