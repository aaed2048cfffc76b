"""What a user can ask for."""

from __future__ import annotations

from dataclasses import dataclass

from tallac.restore.owners import OwnerRules
from tallac.restore.selection import EVERYTHING, Selection


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What of a snapshot is wanted, and how.

    Attributes:
        selection: Which paths.
        numeric_owners: Use the numbers of owners and ignore their names.
        user_rules, group_rules: Whom things go to instead of those they belonged to.
    """

    selection: Selection = EVERYTHING
    numeric_owners: bool = False
    user_rules: OwnerRules = ()
    group_rules: OwnerRules = ()


PLAIN = RestoreOptions()
