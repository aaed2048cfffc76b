"""Setting what is kept of a file beside its content, in the one order in which nothing undoes what came before.

chown clears setuid bits and `security.capability`, a full chmod comes before the ACLs that refine it, every call changes times, and
flags may forbid all the others. So: owner, mode, extended attributes with ACLs, times, flags.
"""

from __future__ import annotations

import errno
import stat
from typing import NamedTuple

from tallac.dag import Metadata
from tallac.restore.filesystem import DestinationSystem, Place
from tallac.restore.options import RestoreSettings
from tallac.restore.owners import Owners
from tallac.restore.privileges import CAPABILITY, has_privileges, without_privileges
from tallac.restore.report import Unkept
from tallac.source import FLAGS_KEPT

DEFAULT_ACL = b"system.posix_acl_default"
_ACLS = (b"system.posix_acl_access", DEFAULT_ACL)

FLAG_IMMUTABLE = 0x10
FLAG_APPEND = 0x20
FLAGS_LINK_FORBIDDING = FLAG_IMMUTABLE | FLAG_APPEND
"""A file with one of these flags can get no further hard link."""

# Compression and copy-on-write are decided when the first byte is written: c, nocomp, C.
_FLAGS_EARLY = 0x4 | 0x400 | 0x800000

# Some file systems clamp what lies outside, without an error.
_SECONDS_SAFE = range(1 << 31)

# FAT keeps times in steps of two seconds; no file system has longer ones.
_TIME_STEP_MAX_NS = 2_000_000_000

# Without an attribute, or without attributes, there is nothing to take off.
_NO_XATTR = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP})
# Here, and only here, ENOSPC and EDQUOT say that one attribute is too large for an inode, not that the disk is full.
_XATTR_TOO_LARGE = frozenset({errno.ENOSPC, errno.EDQUOT})


_USUAL_MAX = 1024
"""So many combinations of owner and mode are remembered; a tree has a few dozen."""


class Rights(NamedTuple):
    """The permissions and owner of a file that gets nothing else but content and time."""

    mode: int
    uid: int
    gid: int


class Attributes:
    """Sets metadata on what has been made.

    What can't be set is reported in words and stops nothing; only a destination that fails as a whole raises OSError.

    Attributes:
        owners_unset: How many owners were left out since only root may set them.
        made_for: Whom a file belongs to that was just made; None before the first one in a directory.
    """

    def __init__(self, system: DestinationSystem, settings: RestoreSettings) -> None:
        """Use these calls and settings."""
        self._system = system
        self._settings = settings
        self._owners = Owners(numeric=settings.numeric_owners, user_rules=settings.user_rules, group_rules=settings.group_rules)
        self.owners_unset = 0
        self._unkept = Unkept()
        self._may_inherit = settings.inherits_acls or settings.inherits_flags
        self._usual: dict[tuple[object, ...], Rights | None] = {}
        self.made_for: tuple[int, int] | None = None

    @property
    def is_root(self) -> bool:
        """Whether this user may do what only root may."""
        return self._owners.is_root

    def begin_directory(self) -> None:
        """Expect new files of another directory: there they may belong to another group from the beginning."""
        self.made_for = None

    def owner_of(self, metadata: Metadata) -> tuple[int, int] | None:
        """Return the owner that `set_all` would set; None for none."""
        return self._owners.owner_of(metadata)

    def set_all(self, place: Place, metadata: Metadata, *, is_directory: bool = False, with_flags: bool = True) -> list[str]:
        """Set everything and give the names of what could not be set."""
        if isinstance(place, int) and not is_directory and self._set_usual(place, metadata):
            return []
        unset: list[str] = []
        is_symlink = metadata.mode is not None and stat.S_ISLNK(metadata.mode)
        is_owned = self._set_owner(place, metadata, unset)
        if has_privileges(metadata, is_directory=is_directory) and not (is_owned and self._owners.is_stored_owner(metadata)):
            # Another owner's program must not come back as one that runs with this owner's rights.
            unset.append(f"{_privileges_of(metadata)}, since the owner is {'another' if is_owned else 'not set'}")
            metadata = without_privileges(metadata, is_directory=is_directory)
        if self._settings.inherits_acls and not is_symlink:
            self._remove_acls(place, metadata, unset)
        if not is_symlink:
            self._set_mode_and_xattrs(place, metadata, is_directory, unset)
        elif metadata.xattrs:
            self._set_xattrs(place, metadata, unset)
        if metadata.mtime is not None:
            self._set_time(place, metadata, unset)
        if with_flags and isinstance(place, int) and (metadata.flags or self._settings.inherits_flags):
            self._set_flags(place, metadata.flags & FLAGS_KEPT, unset)
        if metadata.mode is not None:
            self._notice_unkept(place, metadata, is_owned, unset)
        return unset

    def _set_usual(self, descriptor: int, metadata: Metadata) -> bool:
        """Set owner, mode and time of an open file that has nothing else, and return whether it has them now.

        Where it has not, everything is to be set the long way, which tells what is wrong.
        """
        rights, mtime = self.usual_rights(metadata), metadata.mtime
        if rights is None or mtime is None:
            return False
        mode, uid, gid = rights
        mtime_ns = mtime[0] * 1_000_000_000 + mtime[1]
        system = self._system
        try:
            if self.made_for is None:
                found = system.look(descriptor)
                self.made_for = found.st_uid, found.st_gid
            # Where it is not so after all, the look at the end shows it.
            if (uid, gid) != self.made_for:
                system.set_owner(descriptor, uid, gid)
            system.set_mode(descriptor, mode)
            system.set_time(descriptor, mtime_ns)
            found = system.look(descriptor)
        except OSError:
            return False
        is_kept = found.st_mode & 0o7777 == mode and (found.st_uid, found.st_gid) == (uid, gid)
        return is_kept and abs(found.st_mtime_ns - mtime_ns) < _TIME_STEP_MAX_NS

    def usual_rights(self, metadata: Metadata) -> Rights | None:
        """Return owner and mode of a file that is to get these, a time, and nothing else; None for any other."""
        mtime = metadata.mtime
        if mtime is None or mtime[0] not in _SECONDS_SAFE or metadata.xattrs or metadata.flags or self._may_inherit:
            return None
        key = metadata.mode, metadata.uid, metadata.gid, metadata.user, metadata.group
        rights = self._usual.get(key)
        if rights is None and key not in self._usual and len(self._usual) < _USUAL_MAX:
            rights = self._usual[key] = self._usual_of(metadata)
        return rights

    def _usual_of(self, metadata: Metadata) -> Rights | None:
        owner = self._owners.owner_of(metadata)
        if owner is None or metadata.mode is None or not self._owners.may_set(*owner):
            return None
        return None if has_privileges(metadata, is_directory=False) else Rights(stat.S_IMODE(metadata.mode), *owner)

    def take_unkept(self) -> Unkept:
        """Return the counts of what was set and not kept since the last call."""
        unkept, self._unkept = self._unkept, Unkept()
        return unkept

    def _notice_unkept(self, place: Place, metadata: Metadata, is_owned: bool, unset: list[str]) -> None:
        """Look once at what has been set: FAT, exFAT and others take permissions, owners and times, and keep their own."""
        try:
            found = self._system.look(place)
        except OSError as error:
            self._note(error, "metadata that can be looked at", unset)
            return
        said = {field.partition(" ")[0] for field in unset}
        mode, mtime_ns = metadata.mode, metadata.mtime_ns
        assert mode is not None
        # Without the owner, a system may drop the setgid bit of a directory.
        looked_at = 0o7777 if is_owned else 0o1777
        if "mode" not in said and not stat.S_ISLNK(mode) and (found.st_mode ^ mode) & looked_at:
            self._unkept.modes += 1
        if is_owned and (found.st_uid, found.st_gid) != self._owners.owner_of(metadata):
            self._unkept.owners += 1
        if "time" not in said and mtime_ns is not None and abs(found.st_mtime_ns - mtime_ns) >= _TIME_STEP_MAX_NS:
            self._unkept.times += 1

    def set_early_flags(self, descriptor: int, metadata: Metadata) -> None:
        """Set those flags that have an effect only on an empty file. Where that fails, `set_all` tells it."""
        early = metadata.flags & _FLAGS_EARLY
        if early:
            self._set_flags(descriptor, early, [])

    def set_flags(self, descriptor: int, flags: int) -> list[str]:
        """Set inode flags that were left out before, and give the names of what could not be set."""
        unset: list[str] = []
        self._set_flags(descriptor, flags & FLAGS_KEPT, unset)
        return unset

    def _set_owner(self, place: Place, metadata: Metadata, unset: list[str]) -> bool:
        owner = self._owners.owner_of(metadata)
        if owner is None:
            if metadata.uid is not None or metadata.gid is not None:
                unset.append("owner")
            return False
        if not self._owners.may_set(*owner):
            self.owners_unset += 1
            return False
        try:
            self._system.set_owner(place, *owner)
        except OSError as error:
            self._note(error, "owner", unset)
            return False
        return True

    def _set_mode_and_xattrs(self, place: Place, metadata: Metadata, is_directory: bool, unset: list[str]) -> None:
        mode = self._mode_of(metadata, is_directory)
        # A normal user may set attributes only on what he may write.
        passing = mode | stat.S_IWUSR if metadata.xattrs else mode
        self._set_mode(place, passing, unset)
        if metadata.xattrs:
            self._set_xattrs(place, metadata, unset)
            if passing != mode:
                self._set_mode(place, mode, unset)

    def _mode_of(self, metadata: Metadata, is_directory: bool) -> int:
        if metadata.mode is None:
            return (0o777 if is_directory else 0o666) & ~self._settings.umask
        return stat.S_IMODE(metadata.mode)

    def _set_mode(self, place: Place, mode: int, unset: list[str]) -> None:
        try:
            self._system.set_mode(place, mode)
        except OSError as error:
            self._note(error, "mode", unset)

    def _remove_acls(self, place: Place, metadata: Metadata, unset: list[str]) -> None:
        kept = {name for name, _ in metadata.xattrs}
        for name in _ACLS:
            if name in kept:
                continue
            try:
                self._system.remove_xattr(place, name)
            except OSError as error:
                if error.errno not in _NO_XATTR:
                    self._note(error, "access without the ACL that the destination gives", unset)

    def _set_xattrs(self, place: Place, metadata: Metadata, unset: list[str]) -> None:
        for name, value in metadata.xattrs:
            words = f"extended attribute {name.decode('utf-8', 'backslashreplace')!r}"
            try:
                self._system.set_xattr(place, name, value)
            except ValueError:
                unset.append(f"{words} (no name that an attribute can have)")
            except OSError as error:
                if error.errno in _XATTR_TOO_LARGE:
                    unset.append(f"{words} (no room for it)")
                else:
                    self._note(error, words, unset)

    def _set_time(self, place: Place, metadata: Metadata, unset: list[str]) -> None:
        mtime_ns = metadata.mtime_ns
        assert mtime_ns is not None
        try:
            self._system.set_time(place, mtime_ns)
            is_set = mtime_ns // 1_000_000_000 in _SECONDS_SAFE or self._system.get_time(place) == mtime_ns
        except OverflowError:
            is_set = False
        except OSError as error:
            self._note(error, "time", unset)
            return
        if not is_set:
            unset.append("time (out of this file system's range)")

    def _set_flags(self, descriptor: int, wanted: int, unset: list[str]) -> None:
        try:
            present = self._system.get_flags(descriptor)
            target = present & ~FLAGS_KEPT | wanted
            if target != present:
                self._system.set_flags(descriptor, target)
        except OSError as error:
            if self._settings.is_fatal(error):
                raise
            if wanted:
                self._set_flags_singly(descriptor, wanted, unset)

    def _set_flags_singly(self, descriptor: int, wanted: int, unset: list[str]) -> None:
        """Set one flag after the other, since one that this file system does not know spoils the others."""
        missing = 0
        for bit in range(32):
            flag = wanted & 1 << bit
            if not flag:
                continue
            try:
                self._system.set_flags(descriptor, self._system.get_flags(descriptor) | flag)
            except OSError as error:
                if self._settings.is_fatal(error):
                    raise
                missing |= flag
        if missing:
            unset.append(f"inode flags {missing:#x}")

    def _note(self, error: OSError, field: str, unset: list[str]) -> None:
        if self._settings.is_fatal(error):
            raise error
        unset.append(f"{field} ({error.strerror})")


def _privileges_of(metadata: Metadata) -> str:
    words = []
    if metadata.mode is not None and metadata.mode & (stat.S_ISUID | stat.S_ISGID):
        words.append("setuid and setgid bits")
    if any(name == CAPABILITY for name, _ in metadata.xattrs):
        words.append("capabilities")
    return " and ".join(words)
