"""Mutable files: an immutable file holds the content, and a slot says which one. docs/format.md, "Slots"."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tallac.caps import FileReadCap, FileWriteCap, MutableDirectoryWrite, MutableFileWrite, MutableFormat
from tallac.dag import Entry
from tallac.errors import AuthorityError, ConflictError
from tallac.interfaces import BinaryReader, FileContent, Session
from tallac.vault.components import VaultComponents
from tallac.vault.mutable.registers import SWAPS_MAX
from tallac.vault.mutable.slot_contents import content_of, content_of_entries, file_entry
from tallac.vault.mutable.slots import make_write_cap
from tallac.vault.reading.files import VaultFiles


def create_slot(components: VaultComponents, mutable_format: MutableFormat, entries: Sequence[Entry] = ()) -> MutableDirectoryWrite:
    """Make a slot and enter it among the roots; durable when this returns."""
    key = components.require_writer_key()
    slots, roots = components.slots, components.require_roots()
    cap = make_write_cap(components.randomness, mutable_format)
    slots.create(cap, key.keeper_key, entries)
    roots.add(cap.read_cap.verify_cap, lambda: slots.all_roots(key.keeper_key))
    return cap


class MutableFiles:
    """The mutable files of one vault."""

    def __init__(self, components: VaultComponents, files: VaultFiles) -> None:
        """Read contents with `files`; nothing is read yet."""
        self._components = components
        self._files = files

    def create(self, session: Session, content: FileContent, mutable_format: MutableFormat) -> MutableFileWrite:
        """See `tallac.interfaces.CapEditor`."""
        with session.writing() as writer:
            stored = writer.put_file(content)
        session.commit([stored])
        slot = create_slot(self._components, mutable_format, [file_entry(stored)])
        return MutableFileWrite(slot.writekey, slot.fingerprint, mutable_format)

    def write(self, session: Session, cap: FileWriteCap, content: FileContent, offset: int | None) -> None:
        """See `tallac.interfaces.CapEditor`."""
        if not isinstance(cap, MutableFileWrite):
            raise AuthorityError(f"{cap} can't be changed in a vault: it belongs to another grid")
        slot = MutableDirectoryWrite(cap.writekey, cap.fingerprint)
        with session.writing() as writer:
            stored = writer.put_file(content)
        for _ in range(SWAPS_MAX):
            before = content_of(self._components.slots, cap.read_cap)
            after = stored if offset is None else self._spliced(session, before, stored, offset)
            session.commit([after])
            entries = self._components.slots.edit(slot, partial(_swapped, before, after))
            if content_of_entries(entries) == after:
                return
        raise ConflictError(f"the file {cap} was changed by others {SWAPS_MAX} times in a row: try again")

    def _spliced(self, session: Session, before: FileReadCap, middle: FileReadCap, offset: int) -> FileReadCap:
        """Store a content with another one over a part of it."""
        with self._files.open_file(before) as old, self._files.open_file(middle) as new, session.writing() as writer:
            return writer.put_file(_Splice(old, new, offset))


class _Splice:
    """The bytes of one file, with another's over a part of them, and zeros where neither has any."""

    def __init__(self, old: BinaryReader, new: BinaryReader, offset: int) -> None:
        self._old, self._new, self._offset = old, new, offset
        self._old_size, new_size = old.seek(0, 2), new.seek(0, 2)
        self._new_end = offset + new_size
        self._end = max(self._old_size, self._new_end)
        self._position = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """See `tallac.interfaces.FileContent`."""
        place = self._position
        if place < self._offset:
            part = self._from_old(min(len(buffer), self._offset - place))
        elif place < self._new_end:
            self._new.seek(place - self._offset)
            part = self._new.read(min(len(buffer), self._new_end - place))
        elif place < self._end:
            part = self._from_old(min(len(buffer), self._end - place))
        else:
            return 0
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _from_old(self, size: int) -> bytes:
        if self._position >= self._old_size:
            return bytes(size)
        self._old.seek(self._position)
        return self._old.read(min(size, self._old_size - self._position))


def _swapped(old: FileReadCap, new: FileReadCap, entries: list[Entry]) -> list[Entry]:
    """Put a new content in the old one's place; where somebody else was faster, leave his."""
    return [file_entry(new)] if content_of_entries(entries) == old else entries
