"""A wrapper that remembers the mutable objects of a vault, so that a distant store is asked for them less often.

A state that is remembered is used for two things only: for a compare-and-swap, which proves it; and where a listing of everything,
which is asked for anyway, says that it is still the present one. What lies on this machine is sealed as it is in the store.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Protocol, TypeVar, cast

from tallac.backends.passing import BoundedBackend
from tallac.errors import StoreError, StorePermissionError, VaultNotFoundError
from tallac.interfaces import Backend, Buffer, Expect, Extent, Item, ListedObject, Upload, Version
from tallac.together import one_by_one

HEADER = "header"
_REGISTERS = "registers/"
_SLOTS = "slots/"
_REMEMBERED = (_REGISTERS, _SLOTS, HEADER)
_PACKS = "packs/"

FETCHED_SIZE_MAX = 16 << 20
"""So many bytes of answers are kept for one block, and those under way then; what goes beyond is asked for when it is read."""

State = tuple[bytes, Version]
T = TypeVar("T")


class Together(Protocol):
    """Carries out calls, perhaps several at a time; see `tallac.together.run_together`."""

    def __call__(self, calls: Sequence[Callable[[], T]], /) -> list[T]: ...


def _expect_nothing(_extents: Iterable[Extent]) -> None:
    """Read nothing ahead."""


class StateMemory(Protocol):
    """Keeps states of objects from one process to the next. Thread-safe; it may lose any of them at any time."""

    def state(self, name: str) -> State | None:
        """Return what was kept last of an object, content and version; None where nothing is."""
        ...

    def keep_state(self, name: str, state: State | None) -> None:
        """Keep a state in place of the one before, or none."""
        ...


class RememberingBackend(BoundedBackend):
    """Another backend. Thread-safe; what is sent to another process is the other backend alone.

    See `RemembersStates` and `DistantBackend`.
    """

    def __init__(
        self,
        inner: Backend,
        memory: StateMemory,
        list_versions: Callable[[], Sequence[ListedObject] | None] | None = None,
        *,
        together: Together = one_by_one,
        expect: Callable[[Iterable[Extent]], None] = _expect_nothing,
        prepare: Callable[[str, Buffer], None] | None = None,
        worker_uploads: int = 1,
    ) -> None:
        """Remember what passes.

        Args:
            inner: The other backend.
            memory: Where states are kept.
            list_versions: Lists all objects with their versions; None where the store's listings do not tell these.
            together: Carries out calls that need not wait for each other.
            expect: Reads ahead; see `DistantBackend`.
            prepare: Takes bytes ahead; see `PreparesPuts`. None where that is no use.
            worker_uploads: See `DistantBackend`.
        """
        super().__init__(inner)
        self._memory = memory
        self._list_versions = list_versions
        self._together = together
        self._expect = expect
        self._prepare = prepare
        self.worker_uploads = worker_uploads
        self._seen: dict[str, State] = {}
        self._versions: dict[str, Version] = {}
        self._sight = threading.local()
        self._answers: dict[int, dict[str, list[object]]] = {}
        self._header_used: bytes | None = None

    def __reduce__(self) -> tuple[Callable[[Backend], Backend], tuple[Backend]]:
        """Return what another process needs, which reads and stores packs."""
        return _itself, (self._inner,)

    # What is remembered

    def remembered(self, name: str) -> State | None:
        """See `RemembersStates`. While a listing tells more, nothing is; afterwards, what it has shown to be right."""
        if self._listed is not None:
            return None
        state = self._seen.get(name)
        if state is None and name in self._versions:
            state = self._memory.state(name)
            if state is not None and state[1] != self._versions.get(name):
                return None
        return state

    def remembered_header(self) -> bytes | None:
        """Return the vault's header, as it was seen last; from then on, signs that it is not there any more are looked into."""
        state = self._memory.state(HEADER)
        if state is None:
            return None
        self._header_used = state[0]
        return state[0]

    @property
    def is_looking(self) -> bool:
        """See `RemembersStates`."""
        return self._listed is not None

    def look(self, names: Collection[str] = (), beside: Callable[[], object] = lambda: None) -> None:
        """See `RemembersStates`."""
        answers: list[object] = self._together([beside, partial(self._ask_what_is_there, names)])
        listed = cast("Sequence[ListedObject] | None", answers[1])
        if listed is None:
            return
        self._sight.listed = {found.item.name: found for found in listed}
        self._versions = {
            found.item.name: found.version for found in listed if found.version and found.item.name.startswith(_REMEMBERED)
        }
        if self._header_used is not None:
            if not self._is_as_listed(HEADER, self._memory.state(HEADER)):
                self._confirm_header()
            self._header_used = None
        for name in [name for name, state in self._seen.items() if not self._is_as_listed(name, state)]:
            self._seen.pop(name, None)

    def _ask_what_is_there(self, names: Collection[str]) -> Sequence[ListedObject] | None:
        """List all objects with their versions, or read those that may be as they are remembered; None where that is forbidden."""
        try:
            return self._read_versions(names) if self._list_versions is None else self._all_versions(self._list_versions, names)
        except StorePermissionError:
            return None  # A client that may list the packs alone does that, as it is asked to.

    def _all_versions(
        self, list_versions: Callable[[], Sequence[ListedObject] | None], names: Collection[str]
    ) -> Sequence[ListedObject] | None:
        """List all objects, without the versions of named registers that may have changed since the listing began.

        A long listing is no view of one moment: a register that was remembered meanwhile, by another process, may be newer than the
        packs that were listed. No version comes back, so one that was remembered before has been the present one up to here.
        """
        before = {name: state[1] for name in names if name.startswith(_REGISTERS) and (state := self._known(name)) is not None}
        changing = {name for name in names if name.startswith(_REGISTERS)}
        listed = list_versions()
        if listed is None:
            return None
        return [
            ListedObject(found.item, b"") if (name := found.item.name) in changing and found.version != before.get(name) else found
            for found in listed
        ]

    def _known(self, name: str) -> State | None:
        return self._seen.get(name) or self._memory.state(name)

    def _read_versions(self, names: Collection[str]) -> Sequence[ListedObject]:
        """List registers and packs, without versions, and read some objects for these, all at once.

        What has the version that is remembered from before has not changed since then, in whatever order the answers were given.
        """
        before = {name: state for name in dict.fromkeys((HEADER, *names)) if (state := self._memory.state(name)) is not None}
        listings = [partial(self._listed_now, prefix) for prefix in (_REGISTERS, _PACKS)]
        answers: list[object] = self._together([*listings, *(partial(self._inner.get_versioned, name) for name in before)])
        items = [item for listing in cast("list[list[Item]]", answers[: len(listings)]) for item in listing]
        listed = {item.name: ListedObject(item, b"") for item in items if item.name not in before}
        for (name, state), now in zip(before.items(), cast("list[State | None]", answers[len(listings) :]), strict=True):
            if now is not None:
                listed[name] = ListedObject(Item(name, len(now[0])), now[1] if now == state else b"")
        return list(listed.values())

    def _listed_now(self, prefix: str) -> list[Item]:
        return list(self._inner.list(prefix))

    def look_away(self) -> None:
        """See `RemembersStates`."""
        self._sight.listed = None
        self._ready.clear()

    # Several requests at a time

    def run_together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """See `DistantBackend`."""
        return self._together(calls)

    def expect(self, extents: Iterable[Extent]) -> None:
        """See `DistantBackend`."""
        self._expect(extents)

    @property
    def prepares_puts(self) -> bool:
        """See `PreparesPuts`."""
        return self._prepare is not None

    def prepare(self, name: str, data: Buffer) -> None:
        """See `PreparesPuts`."""
        if self._prepare is not None:
            self._prepare(name, data)

    @contextmanager
    def fetched(self, names: Sequence[str] = (), prefixes: Sequence[str] = ()) -> Iterator[None]:
        """See `DistantBackend`."""
        thread = threading.get_ident()
        ready = self._answers.setdefault(thread, {})
        # What a block around this one has fetched serves here as well.
        wanted = Counter([*(f"/{name}" for name in names), *prefixes])
        missing = [key for key in wanted if not ready.get(key)]
        found = _Found()
        if missing:
            # Who wants two listings does not believe a single one.
            asked = [key for key in missing for _ in range(1 if key.startswith("/") else wanted[key])]
            self._together([partial(self._ask, key, found) for key in asked])
        ready.update((key, answers * wanted[key] if key.startswith("/") else answers) for key, answers in found.answers.items())
        try:
            yield
        finally:
            for key in missing:
                ready.pop(key, None)
            if not ready:
                self._answers.pop(thread, None)

    def _ask(self, key: str, found: _Found) -> None:
        """Ask the store, and add what it says; nothing where it has failed, or enough is there. The key is one of `_ready`."""
        if found.size < FETCHED_SIZE_MAX:
            with suppress(StoreError):
                found.add(key, self.get_versioned(key[1:]) if key.startswith("/") else list(super().list(key)))

    @property
    def _ready(self) -> dict[str, list[object]]:
        """The answers that this thread has fetched: those about objects by their name after a slash, listings by their prefix."""
        return self._answers.get(threading.get_ident(), {})

    def _forget(self, name: str) -> None:
        """Forget what any thread has fetched about an object that this process changes, and the listings that may show it."""
        for ready in list(self._answers.values()):
            for key in list(ready):
                if key == f"/{name}" or name.startswith(key):
                    ready.pop(key, None)

    # Reading

    def get(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        if start == 0 and stop is None and (answers := self._ready.get(f"/{name}")):
            found = cast("State | None", answers.pop())
            if found is not None:
                return found[0]
        return super().get(name, start, stop)

    def get_versioned(self, name: str) -> State | None:
        if answers := self._ready.get(f"/{name}"):
            return cast("State | None", answers.pop())
        if self._listed is not None and name.startswith((_REGISTERS, _SLOTS)):
            state = self._known(name)
            if state is None and name not in self._listed and name.startswith(_REGISTERS):
                return None
            if state is not None and self._is_as_listed(name, state):
                self._seen[name] = state
                return state
            if name.startswith(_REGISTERS):
                # What is read now is newer than the listing, by which the packs, for one, must not be judged any more.
                self.look_away()
        found = super().get_versioned(name)
        self._note(name, found)
        if found is None and self._header_used is not None and name.startswith(_SLOTS):
            self._confirm_header()
        return found

    def list(self, prefix: str) -> Iterator[Item]:
        if answers := self._ready.get(prefix):
            return iter(cast("list[Item]", answers.pop()))
        listed = self._listed
        if listed is None or prefix != _PACKS:
            return super().list(prefix)
        return iter([found.item for name, found in listed.items() if name.startswith(prefix)])

    # Writing

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        try:
            version = super().put(name, data, expect=expect)
        except StoreError:
            self._note(name, None)
            raise
        finally:
            self._forget(name)
        self._note(name, (bytes(data), version))
        if self._listed is not None:
            self._listed[name] = ListedObject(Item(name, len(data)), version)
        return version

    def upload(self) -> Upload:
        return _NotedUpload(super().upload(), self._forget)

    def delete(self, name: str, *, expect: Version | None = None) -> None:
        self._note(name, None)
        try:
            super().delete(name, expect=expect)
        finally:
            self._forget(name)
        if self._listed is not None:
            self._listed.pop(name, None)

    @property
    def _listed(self) -> dict[str, ListedObject] | None:
        listed: dict[str, ListedObject] | None = getattr(self._sight, "listed", None)
        return listed

    def _is_as_listed(self, name: str, state: State | None) -> bool:
        found = None if self._listed is None else self._listed.get(name)
        return found is not None and state is not None and found.version == state[1] != b""

    def _note(self, name: str, state: State | None) -> None:
        if not name.startswith(_REMEMBERED):
            return
        self._versions.pop(name, None)
        if state is None:
            self._seen.pop(name, None)
        else:
            self._seen[name] = state
        self._memory.keep_state(name, state)

    def _confirm_header(self) -> None:
        """Read the header that was taken from memory.

        Raises:
            VaultNotFoundError: It is another one, or gone.
        """
        used = self._header_used
        if used is None:
            return
        found = super().get_versioned(HEADER)
        self._memory.keep_state(HEADER, found)
        # Who asks for several things together takes no error for an answer, and asks again: so it comes again as well.
        if found is None or found[0] != used:
            where = self.location()
            raise VaultNotFoundError(
                f"{where}: the vault that was here is gone, or another one has taken its place; run this again"
            )
        self._header_used = None


class _Found:
    """The answers that are gathered for one block, by the threads that ask.

    Attributes:
        answers: What the store has said, as often as it was asked.
        size: Bytes in it.
    """

    def __init__(self) -> None:
        self.answers: dict[str, list[object]] = {}
        self.size = 0
        self._lock = threading.Lock()

    def add(self, key: str, answer: State | list[Item] | None) -> None:
        """Add what the store has said."""
        with self._lock:
            self.answers.setdefault(key, []).append(answer)
            self.size += len(answer[0]) if isinstance(answer, tuple) else 0


class _NotedUpload:
    """An upload of which is told what name it has got."""

    def __init__(self, inner: Upload, tell: Callable[[str], None]) -> None:
        self._inner = inner
        self._tell = tell

    def write(self, data: Buffer) -> None:
        self._inner.write(data)

    def commit(self, name: str) -> None:
        try:
            self._inner.commit(name)
        finally:
            self._tell(name)

    def abort(self) -> None:
        self._inner.abort()


def _itself(backend: Backend) -> Backend:
    return backend
