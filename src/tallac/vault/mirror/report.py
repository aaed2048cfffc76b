"""Options and report of a mirror run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tallac.caps import VerifyCap


class MirrorOptions(msgspec.Struct, frozen=True):
    """How to copy a vault.

    Attributes:
        is_dry_run: Change nothing; the report says what would be copied.
        verifies: Read what the mirror has already, too, and replace what is damaged there.
        deletes: Delete from the mirror the packs that a prune has deleted from the vault. This takes a keeper key.
        only: Copy only what hangs below these caps. This takes a keeper key; empty for everything.
    """

    is_dry_run: bool = False
    verifies: bool = False
    deletes: bool = False
    only: tuple[VerifyCap, ...] = ()


class MirrorReport(msgspec.Struct):
    """Counts of what was copied, or would be.

    Attributes:
        packs, pack_bytes: Packs that the mirror did not have.
        pack_bytes_total: How many bytes of packs are to be copied in all.
        objects, object_bytes: Objects that a partial mirror did not have.
        index_objects, states: Index objects; and registers and slots that were brought up to date.
        replaced_packs: Those of the packs that the mirror had damaged.
        deleted_packs, deleted_bytes: Packs that went from the mirror, since a prune has deleted them.
        ignored: What lies among the vault's objects and is none, a sentence each; it was not copied.
        problems: What could not be copied, a sentence each: then the mirror's registers and slots stay as they were. Or what is
            wrong on the mirror although all was copied, since it is wrong in the vault.
    """

    packs: int = 0
    pack_bytes: int = 0
    pack_bytes_total: int = 0
    objects: int = 0
    object_bytes: int = 0
    index_objects: int = 0
    states: int = 0
    replaced_packs: int = 0
    deleted_packs: int = 0
    deleted_bytes: int = 0
    ignored: list[str] = msgspec.field(default_factory=list)
    problems: list[str] = msgspec.field(default_factory=list)


MirrorProgress: TypeAlias = Callable[[MirrorReport], None]
"""Called now and then with the report so far."""
