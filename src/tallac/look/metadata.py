"""The comparison of the metadata of two versions of a file, as far as a copy would keep them."""

from __future__ import annotations

from tallac.dag import Entry, FileType, Metadata


def differing(old: Metadata, new: Metadata, *, is_directory: bool = False) -> tuple[str, ...]:
    """Return the names of the metadata that differ: `mode`, `owner`, `group`, `mtime`, `xattrs`, `flags`.

    A value that one side does not know does not differ. Not compared: inode, device, number of links and ctime, which a copy can't
    keep; holes, which depend on the file system; and the mtime of a directory, which follows from the entries added and removed.
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
    """Whether two entries are the same version: equal content and metadata. Directories are compared by their own metadata only."""
    if kind_of(old) is not kind_of(new):
        return False
    if old.is_directory:
        return old.metadata.mtime == new.metadata.mtime and not differing(old.metadata, new.metadata, is_directory=True)
    special = has_same_special_content(old.metadata, new.metadata)
    return old.encoded == new.encoded and special and not differing(old.metadata, new.metadata)


def has_same_special_content(old: Metadata, new: Metadata) -> bool:
    """Whether two links lead to the same place, and two devices are the same."""
    return (old.target, old.rdev) == (new.target, new.rdev)


def kind_of(entry: Entry) -> FileType:
    """Return the file type of an entry: its cap decides whether it is a directory, whatever its mode claims."""
    if entry.is_directory:
        return FileType.DIRECTORY
    kind = entry.metadata.file_type
    return FileType.REGULAR if kind in (None, FileType.DIRECTORY) else kind


def size_of(entry: Entry) -> int:
    """Return the size of a regular file in bytes; 0 for everything else."""
    return entry.size if kind_of(entry) is FileType.REGULAR else 0


def _known(*pairs: tuple[object, object]) -> tuple[object, object]:
    """Leave out the pairs that have an unknown part."""
    both = [pair for pair in pairs if None not in pair]
    return tuple(old for old, _ in both), tuple(new for _, new in both)
