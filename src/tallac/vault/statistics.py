"""What a vault takes and what for, as a keeper sees it: by kind of object, without a look at any content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from tallac.errors import DamageError
from tallac.vault.aside import ASIDE_PREFIX
from tallac.vault.index import INDEX_PREFIX
from tallac.vault.keys import KeeperKey
from tallac.vault.marking import Marker, Marks
from tallac.vault.packs import PACK_PREFIX
from tallac.vault.parts import VaultParts
from tallac.vault.prune_plan import Survey
from tallac.vault.quarantine import NO_QUARANTINE, quarantine_of
from tallac.vault.registers import Register
from tallac.vault.session_watch import SessionWatch, links_in_use
from tallac.vault.slots import SLOT_PREFIX

CHUNKS, LISTS, DIRECTORIES, UNUSED = "chunks", "lists", "directories", "unused"


@dataclass(slots=True)
class Amount:
    """A number of things, and the bytes that they take."""

    count: int = 0
    size: int = 0

    def add(self, size: int) -> None:
        """Count one."""
        self.count += 1
        self.size += size


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """One session: its name, its state, and when it began by its writer's clock, in nanoseconds since 1970."""

    name: str
    state: str
    started_ns: int


@dataclass(slots=True)
class VaultFigures:
    """The figures of a vault.

    Attributes:
        identity: The vault's 32 hexadecimal digits.
        objects: In use: `chunks`, `lists`, `directories`; and `unused`, to which nothing leads or which are stored twice. Their
            bytes are those of the sealed objects, without the packs' footers and padding.
        stored: What lies in the backend: `packs`, `index`, `slots`, `aside`, `other`.
        roots: How many mutable directories and files there are.
        sessions: The writers that are under way, or were killed.
        proposed_packs, decided_packs: In quarantine; those that are decided are gone or about to go.
        trouble: Why the objects could not be told apart; "" if they could.
    """

    identity: str
    objects: dict[str, Amount] = field(default_factory=lambda: {kind: Amount() for kind in (CHUNKS, LISTS, DIRECTORIES, UNUSED)})
    stored: dict[str, Amount] = field(
        default_factory=lambda: {kind: Amount() for kind in ("packs", "index", "slots", "aside", "other")}
    )
    roots: int = 0
    sessions: list[SessionFigures] = field(default_factory=list)
    proposed_packs: int = 0
    decided_packs: int = 0
    trouble: str = ""


@runtime_checkable
class FigureGiver(Protocol):
    """Gives the figures of a vault to whoever has the keeper key."""

    def figures(self) -> VaultFigures:
        """Count everything. Nothing is changed, and no content is opened.

        Raises:
            AuthorityError: This takes the keeper key.
            StoreError: The store can't be asked.
        """
        ...


def figures_of(parts: VaultParts, keeper: KeeperKey) -> VaultFigures:
    """See `FigureGiver`."""
    figures = VaultFigures(parts.identity)
    _count_stored(parts, figures)
    _try(figures, lambda: _count_quarantine(parts, keeper, figures))
    _try(figures, lambda: _count_objects(parts, keeper, figures))
    return figures


def _try(figures: VaultFigures, count: Callable[[], None]) -> None:
    """Count what can be counted in a damaged vault."""
    try:
        count()
    except DamageError as error:
        figures.trouble = figures.trouble or str(error)


def _count_stored(parts: VaultParts, figures: VaultFigures) -> None:
    places = {PACK_PREFIX: "packs", INDEX_PREFIX: "index", SLOT_PREFIX: "slots", ASIDE_PREFIX: "aside"}
    for item in parts.backend.list(""):
        kind = next((kind for prefix, kind in places.items() if item.name.startswith(prefix)), "other")
        figures.stored[kind].add(item.size)


def _count_quarantine(parts: VaultParts, keeper: KeeperKey, figures: VaultFigures) -> None:
    register = Register(parts.backend, "quarantine", keeper.roots, parts.memory, parts.randomness)
    for entry in quarantine_of(register.read()).packs.values():
        if entry.is_decided:
            figures.decided_packs += 1
        else:
            figures.proposed_packs += 1


def _count_objects(parts: VaultParts, keeper: KeeperKey, figures: VaultFigures) -> None:
    figures.roots = len(parts.require_roots().read())
    sessions = SessionWatch(parts.backend, keeper.roots, parts.randomness, parts.clock).read()
    figures.sessions = [SessionFigures(each.path, each.record.state.value, each.record.started_ns) for each in sessions]
    marker = Marker(parts.backend, keeper, parts.index, parts.slots, parts.require_roots())
    marks = marker.mark(links_in_use(sessions))
    survey = Survey(parts.index, marks)
    for name, location in parts.index.records():
        is_in_use = survey.is_in_use(name, location, NO_QUARANTINE)
        kind = _kind_of(name, marks, has_links=location.links_length > 0) if is_in_use else UNUSED
        figures.objects[kind].add(location.length + location.links_length)


def _kind_of(name: bytes, marks: Marks, *, has_links: bool) -> str:
    if marks.is_directory(name):
        return DIRECTORIES
    return LISTS if has_links else CHUNKS
