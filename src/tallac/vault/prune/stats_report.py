"""Statistics of a vault, as a keeper sees them."""

from __future__ import annotations

import msgspec

CHUNKS, LISTS, DIRECTORIES, UNUSED = "chunks", "lists", "directories", "unused"


class Amount(msgspec.Struct):
    """A number of things, and the bytes that they take."""

    count: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """Count one."""
        self.count += 1
        self.size += size


class SessionStats(msgspec.Struct, frozen=True):
    """One session: its name, its state, and when it began by its writer's clock, in nanoseconds since 1970."""

    name: str
    state: str
    started_ns: int


class VaultStats(msgspec.Struct):
    """Statistics of a vault.

    Attributes:
        identity: The vault's 32 hexadecimal digits.
        objects: In use: `chunks`, `lists`, `directories`; and `unused`, to which nothing leads or which are stored twice. Their
            bytes are those of the sealed objects, without the packs' footers and padding.
        stored: What lies in the backend: `packs`, `index`, `slots`, `aside`, `other`.
        compression: How much the vault's clients compress, by its settings.
        roots: How many mutable directories and files there are.
        sessions: The writers that are under way, or were killed.
        proposed_packs, decided_packs: Packs with pending deletions; those that are decided are deleted, or about to be.
        trouble: Why it is unknown which objects are in use; "" if they could.
    """

    identity: str
    objects: dict[str, Amount] = msgspec.field(
        default_factory=lambda: {kind: Amount() for kind in (CHUNKS, LISTS, DIRECTORIES, UNUSED)}
    )
    stored: dict[str, Amount] = msgspec.field(
        default_factory=lambda: {kind: Amount() for kind in ("packs", "index", "slots", "aside", "other")}
    )
    compression: str = ""
    roots: int = 0
    sessions: list[SessionStats] = msgspec.field(default_factory=list)
    proposed_packs: int = 0
    decided_packs: int = 0
    trouble: str = ""
