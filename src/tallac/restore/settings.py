"""What holds for a whole restore, in a form that worker processes can be given."""

from __future__ import annotations

import os

import msgspec

from tallac.restore.owners import OwnerRules


def read_umask() -> int:
    """Read this process's umask. It is 0o77 for an instant, since the only way to read it is to set it."""
    umask = os.umask(0o77)
    os.umask(umask)
    return umask


class RestoreSettings(msgspec.Struct, frozen=True):
    """What holds for a whole restore.

    Attributes:
        destination: The folder's path, for messages.
        numeric_owners: Use the numbers of owners, even where this machine knows their names under other numbers.
        user_rules, group_rules: Whom things go to instead of those they belonged to.
        inherits_acls: New files get ACLs from a default ACL of the destination, which must be taken off them.
        inherits_flags: New files get inode flags from the destination, which must be taken off them.
        replaces: Files may be there already. Each is written under another name, and takes its own when it is whole.
        umask: Decides the mode of what was stored without one.
    """

    destination: bytes = b""
    numeric_owners: bool = False
    user_rules: OwnerRules = ()
    group_rules: OwnerRules = ()
    inherits_acls: bool = False
    inherits_flags: bool = False
    replaces: bool = False
    umask: int = msgspec.field(default_factory=read_umask)
