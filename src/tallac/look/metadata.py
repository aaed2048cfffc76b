"""Which metadata of two states of a file differ, as far as it is the file's and not its place's."""

from __future__ import annotations

from tallac.dag import Entry, FileType, Metadata


def differing(old: Metadata, new: Metadata, *, is_directory: bool = False) -> tuple[str, ...]:
    """Name what differs: `mode`, `owner`, `group`, `mtime`, `xattrs`, `flags`.

    What one side does not know is no difference. Not compared: inode, device, number of links and ctime, which a copy can't keep;
    holes, which are the file system's affair; and a directory's mtime, which follows from what was added to it and removed.
    """
    pairs: dict[str, tuple[object, object]] = {
        "mode": (old.mode, new.mode),
        "owner": _known((old.uid, new.uid), (old.user, new.user)),
        "group": _known((old.gid, new.gid), (old.group, new.group)),
        "mtime": (None, None) if is_directory else (old.mtime, new.mtime),
        "xattrs": (old.xattrs, new.xattrs),
        "flags": (old.flags, new.flags),
    }
    return tuple(name for name, (before, after) in pairs.items() if None not in (before, after) and before != after)


def is_alike(old: Entry, new: Entry) -> bool:
    """Whether two entries are the same version of a thing: same content, no metadata that differs. Directories: as listed."""
    if old.is_directory != new.is_directory:
        return False
    if old.is_directory:
        return old.metadata.mtime == new.metadata.mtime and not differing(old.metadata, new.metadata, is_directory=True)
    special = (old.metadata.target, old.metadata.rdev) == (new.metadata.target, new.metadata.rdev)
    return old.encoded == new.encoded and special and not differing(old.metadata, new.metadata)


def kind_of(entry: Entry) -> FileType:
    """Tell what an entry is: the cap says what is a directory, whatever the mode claims."""
    if entry.is_directory:
        return FileType.DIRECTORY
    kind = entry.metadata.file_type
    return FileType.REGULAR if kind in (None, FileType.DIRECTORY) else kind


def size_of(entry: Entry) -> int:
    """Give the size in bytes of a regular file; 0 for all else."""
    return entry.size if kind_of(entry) is FileType.REGULAR else 0


def _known(*pairs: tuple[object, object]) -> tuple[object, object]:
    """Leave out of several pairs those of which one part is unknown."""
    both = [pair for pair in pairs if None not in pair]
    return tuple(old for old, _ in both), tuple(new for _, new in both)
