"""What a user can ask for."""

from __future__ import annotations

from enum import Enum

import msgspec

from tallac.restore.owners import OwnerRules
from tallac.restore.selection import EVERYTHING, Selection


class Overwrite(Enum):
    """What becomes of a file that is there already and differs; its value is the word for it.

    ALWAYS: it is replaced, and contents are compared to find out. IF_CHANGED: likewise, but contents are compared only where size
    or time differs. IF_NEWER: as IF_CHANGED where the snapshot's is newer, else it stays. NEVER: it stays. Where only metadata
    differs, that is set and the content not touched.
    """

    ALWAYS = "always"
    IF_CHANGED = "if-changed"
    IF_NEWER = "if-newer"
    NEVER = "never"


class RestoreOptions(msgspec.Struct, frozen=True):
    """What of a snapshot is wanted, and how.

    Attributes:
        selection: Which paths.
        numeric_owners: Use the numbers of owners and ignore their names.
        user_rules, group_rules: Whom things go to instead of those they belonged to.
        overwrite: The folder may hold something, and this becomes of it; None: it must be empty.
        delete: What the snapshot has not is deleted in restored directories; needs `overwrite`.
        delete_even_home: That may be done in the root directory, the home folder, and what that lies in.
        dry_run: Nothing is changed; it is counted and told what would be.
        verify: What was restored is read back from the disk and compared.
        protected: (device, inode) of directories that are never deleted.
    """

    selection: Selection = EVERYTHING
    numeric_owners: bool = False
    user_rules: OwnerRules = ()
    group_rules: OwnerRules = ()
    overwrite: Overwrite | None = None
    delete: bool = False
    delete_even_home: bool = False
    dry_run: bool = False
    verify: bool = False
    protected: frozenset[tuple[int, int]] = frozenset()


PLAIN = RestoreOptions()
