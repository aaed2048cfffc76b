"""Rights that a file gives to whoever runs or opens it, beyond their own: setuid and setgid bits, capabilities, devices."""

from __future__ import annotations

import stat

import msgspec

from tallac.dag import Entry, FileType, Metadata

CAPABILITY = b"security.capability"

# Linux lets only privileged programs set these, and other programs of the system act on them: `trusted.overlay.*`, labels.
_PRIVILEGED_NAMESPACES = (b"security.", b"trusted.")


def privileged_bits(mode: int, *, is_directory: bool) -> int:
    """Return the bits of a mode that let a program run as somebody else; on a directory, setgid means no such thing."""
    return mode & (stat.S_ISUID if is_directory else stat.S_ISUID | stat.S_ISGID)


def has_privileges(metadata: Metadata, *, is_directory: bool) -> bool:
    """Whether something lets a program run with rights of its owner, or with capabilities."""
    if metadata.mode is not None and privileged_bits(metadata.mode, is_directory=is_directory):
        return True
    return bool(metadata.xattrs) and any(name == CAPABILITY for name, _ in metadata.xattrs)


def without_privileges(metadata: Metadata, *, is_directory: bool) -> Metadata:
    """Return metadata without those bits and capabilities, as chown(2) leaves a file whose owner changes."""
    mode = metadata.mode
    if mode is not None:
        mode &= ~privileged_bits(mode, is_directory=is_directory)
    xattrs = tuple(pair for pair in metadata.xattrs if pair[0] != CAPABILITY)
    return msgspec.structs.replace(metadata, mode=mode, xattrs=xattrs)


def restrain(entry: Entry) -> Entry | None:
    """Return an entry of a foreign snapshot as it may be restored, without what would give its maker rights on this machine.

    The same object is returned where it has nothing of the kind. None stands for a device, which is left out; everything else comes
    without setuid and setgid bits, and without attributes that need privileges to set.
    """
    mode, xattrs = entry.metadata.mode, entry.metadata.xattrs
    if entry.metadata.file_type in (FileType.BLOCK_DEVICE, FileType.CHARACTER_DEVICE):
        return None
    is_directory = entry.is_directory
    kept = tuple(pair for pair in xattrs if not pair[0].startswith(_PRIVILEGED_NAMESPACES)) if xattrs else xattrs
    if len(kept) == len(xattrs) and (mode is None or not privileged_bits(mode, is_directory=is_directory)):
        return entry
    metadata = without_privileges(msgspec.structs.replace(entry.metadata, xattrs=kept), is_directory=is_directory)
    return msgspec.structs.replace(entry, metadata=metadata)
