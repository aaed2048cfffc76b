"""Options and settings of a restore."""

from __future__ import annotations

import os
from enum import Enum

import msgspec

from tallac.dag import Entry
from tallac.restore.filesystem import DESTINATION, DestinationSystem, is_fatal
from tallac.restore.owners import OwnerRules
from tallac.restore.path_filter import EVERYTHING, PathFilter
from tallac.source import NOTHING_OWN, OwnFiles
from tallac.source.absence import Absence


class Overwrite(Enum):
    """Rules for a file that exists and differs; the value is the word on the command line.

    ALWAYS: it is replaced, and contents are compared to find out. IF_CHANGED: likewise, but contents are compared only where size
    or time differs. IF_NEWER: as IF_CHANGED where the snapshot's is newer, else it stays. NEVER: it stays. Where only metadata
    differs, that is set and the content not touched.
    """

    ALWAYS = "always"
    IF_CHANGED = "if-changed"
    IF_NEWER = "if-newer"
    NEVER = "never"


class RestoreOptions(msgspec.Struct, frozen=True):
    """The part of a snapshot that is wanted, and how it is restored.

    Attributes:
        selection: Which paths.
        numeric_owners: Use the numbers of owners and ignore their names.
        user_rules, group_rules: Whom things go to instead of those they belonged to.
        overwrite: The folder may hold something, and this becomes of it; None: it must be empty.
        delete: What the snapshot has not is deleted in restored directories; needs `overwrite`.
        allow_delete_home: That may be done in the root directory, the home folder, and what that lies in.
        dry_run: Nothing is changed; it is counted and reported what would be.
        verify: What was restored is read back from the disk and compared.
        is_foreign: Somebody else made the snapshot, who must get no rights on this machine by it: no devices are made, and nothing
            gets setuid and setgid bits, capabilities, or other attributes that need privileges.
        own: Tells what is Tallac's own; neither that nor anything in a vault is ever changed.
        absence: What the snapshot knows of the names that the restored directory has not; None where it is a whole snapshot
            without facts.
    """

    selection: PathFilter = EVERYTHING
    numeric_owners: bool = False
    user_rules: OwnerRules = ()
    group_rules: OwnerRules = ()
    overwrite: Overwrite | None = None
    delete: bool = False
    allow_delete_home: bool = False
    dry_run: bool = False
    verify: bool = False
    is_foreign: bool = False
    own: OwnFiles = NOTHING_OWN
    absence: Absence | None = None


PLAIN = RestoreOptions()


def absence_at_top(options: RestoreOptions, entry: Entry) -> Absence | None:
    """Return what is known of the names that the restored directory has not; None where nothing will be deleted."""
    if not options.delete:
        return None
    return options.absence or Absence.at_root(None, entry.metadata)


def read_umask() -> int:
    """Read this process's umask. It is 0o77 for an instant, since the only way to read it is to set it."""
    umask = os.umask(0o77)
    os.umask(umask)
    return umask


class RestoreSettings(msgspec.Struct, frozen=True):
    """Settings of a whole restore.

    Attributes:
        destination: The folder's path, for messages.
        numeric_owners: Use the numbers of owners, even where this machine knows their names under other numbers.
        user_rules, group_rules: Whom things go to instead of those they belonged to.
        inherits_acls: New files get ACLs from a default ACL of the destination, which must be taken off them.
        inherits_flags: New files get inode flags from the destination, which must be taken off them.
        is_beside_others: A single file is restored beside what is there, none of which it replaces.
        replaces: Files may be there already. Each is written under another name, and takes its own when it is whole.
        root: The folder's descriptor; -1 where there is none, and nothing is written.
        system: The calls that write.
        umask: Decides the mode of what was stored without one.
    """

    destination: bytes = b""
    numeric_owners: bool = False
    user_rules: OwnerRules = ()
    group_rules: OwnerRules = ()
    inherits_acls: bool = False
    inherits_flags: bool = False
    replaces: bool = False
    is_beside_others: bool = False
    root: int = -1
    system: DestinationSystem = DESTINATION
    umask: int = msgspec.field(default_factory=read_umask)

    def is_fatal(self, error: OSError) -> bool:
        """Whether the destination as a whole fails, see `tallac.restore.filesystem.is_fatal`."""
        return is_fatal(error, self.system, self.root)
