"""The reserve: objects that hold nothing, deleted when a prune needs their space. docs/format.md, "Reserve".

To free space a prune first writes: what is about to go, and where else what stays is now. On a store that is full to the last
byte it gives up pieces of the reserve for that, the smallest first. Nothing refers to a piece, and losing one loses nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TypeVar

from tallac.backends.passing import ForwardingBackend
from tallac.crypto.hashing import Hasher
from tallac.errors import ObjectNotFoundError, StoreError, StoreFullError
from tallac.interfaces import (
    Backend,
    Buffer,
    DistantBackend,
    Expect,
    Extent,
    Finding,
    ForkableBackend,
    Item,
    PreparesPuts,
    Randomness,
    RemembersStates,
    ReportsFreeSpace,
    Upload,
    Version,
)
from tallac.vault.packs.verifier import hash_object

RESERVE_PREFIX = "reserve/"
PIECE_SIZE_MIN = 64 << 10
RESERVE_SIZE_MIN = 256 << 10
"""Enough for registers and slots of a small vault."""
RESERVE_SIZE_MAX = 32 << 20
"""Enough to move what stays of one pack."""
RESERVE_SHARE = 128
"""In between, it takes the 128th part of what the packs take."""
_WRITE_SIZE = 1 << 20

T = TypeVar("T")


def piece_sizes(packs_size: int) -> list[int]:
    """Return the sizes of the reserve's objects for packs of so many bytes: each is as large as all before it together."""
    wanted = min(max(packs_size // RESERVE_SHARE, RESERVE_SIZE_MIN), RESERVE_SIZE_MAX)
    sizes = [PIECE_SIZE_MIN]
    while 2 * sum(sizes) <= wanted:
        sizes.append(sum(sizes))
    return sizes


def check_reserve(backend: Backend) -> Iterator[Finding]:
    """Read the pieces, and report those that are not what their names say. The disk is not to be trusted with more, either."""
    for item in list(backend.list(RESERVE_PREFIX)):
        if is_damaged(backend, item.name):
            yield Finding(None, f"{item.name} is damaged, harmless; `tallac repair` deletes it", stored=item.name)


def is_damaged(backend: Backend, name: str) -> bool:
    """Whether a piece is there and is not what its name says."""
    try:
        return hash_object(backend, name, lambda _size: None).hex() != name.removeprefix(RESERVE_PREFIX)
    except ObjectNotFoundError:
        return False


class Reserve:
    """The reserve of one vault. A store that has no bounds, or does not give back what is deleted, has none. Not thread-safe."""

    def __init__(self, backend: Backend, randomness: Randomness) -> None:
        """Nothing is read yet."""
        self._backend = backend
        self._bounded = backend if isinstance(backend, ReportsFreeSpace) else None
        self._randomness = randomness
        self._given_up: set[str] = set()
        self.is_spent = False
        """Whether a put that finds the store full may give up pieces. Backups leave the reserve alone."""

    def backend(self) -> Backend:
        """Return the vault's backend, whose puts make use of the reserve while it is being spent."""
        if self._bounded is None:
            return self._backend
        if isinstance(self._backend, DistantBackend):
            return ReservedDistantBackend(self._backend, self, self._backend)
        return ReservedBackend(self._backend, self)

    @property
    def has_bounds(self) -> bool:
        """Whether the store is known to be able to be full; elsewhere there is no reserve."""
        return self._room() is not None

    @contextmanager
    def spending(self) -> Iterator[None]:
        """Allow puts to give up parts of the reserve for the length of the block."""
        before, self.is_spent = self.is_spent, True
        try:
            yield
        finally:
            self.is_spent = before

    def give_up(self) -> bool:
        """Delete the smallest piece; False where there is none.

        Raises:
            StoreError: The store failed, or deletes nothing for this client.
        """
        pieces = sorted((item for item in self._pieces() if item.name not in self._given_up), key=lambda item: item.size)
        if not pieces:
            return False
        self._backend.delete(pieces[0].name)
        self._given_up.add(pieces[0].name)
        return True

    def make_room(self, size: Callable[[], int], *, is_spending: bool) -> bool:
        """Whether so many bytes are free, after giving up parts of the reserve if it may be spent. Unbounded stores fit all."""
        while (room := self._room()) is not None and room < size():
            if not (is_spending and self.give_up()):
                return False
        return True

    def fit(self, packs_size: int) -> None:
        """Add the pieces that are missing for packs of so many bytes, as far as there is room, and delete what is too much."""
        # A vault does without a reserve; whatever is wrong with the store shows where it matters.
        with suppress(StoreError):
            room = self._room()
            if room is None:
                return
            pieces = list(self._pieces())
            missing = Counter(piece_sizes(packs_size)) - Counter(item.size for item in pieces)
            surplus = Counter(item.size for item in pieces) - Counter(piece_sizes(packs_size))
            for item in pieces:
                if surplus[item.size]:
                    surplus[item.size] -= 1
                    self._backend.delete(item.name)
            for size in sorted(missing.elements()):
                if room < 2 * size:
                    break
                self._add(size)
                room = self._room() or 0

    def _room(self) -> int | None:
        return None if self._bounded is None else self._bounded.room()

    def _pieces(self) -> Iterator[Item]:
        return self._backend.list(RESERVE_PREFIX)

    def _add(self, size: int) -> None:
        """Store a piece of random bytes, which no file system makes smaller, named by their hash."""
        upload, hasher = self._backend.upload(), Hasher()
        try:
            for start in range(0, size, _WRITE_SIZE):
                part = self._randomness(min(_WRITE_SIZE, size - start))
                hasher.update(part)
                upload.write(part)
            upload.commit(RESERVE_PREFIX + hasher.digest().hex())
        finally:
            upload.abort()


class ReservedBackend(ForwardingBackend):
    """Another backend, whose puts give up pieces of a reserve where the store is full and the reserve is being spent."""

    def __init__(self, inner: Backend, reserve: Reserve) -> None:
        super().__init__(inner)
        self._reserve = reserve

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes read and store; none of them spends the reserve.
        return _inner, (self._inner,)

    def put(self, name: str, data: Buffer, *, expect: Expect | Version | None = None) -> Version:
        return self._with_room(lambda: super(ReservedBackend, self).put(name, data, expect=expect))

    def upload(self) -> Upload:
        return self._with_room(super().upload)

    def may_be_forked(self) -> bool:
        """See `ForkableBackend`."""
        return isinstance(self._inner, ForkableBackend) and self._inner.may_be_forked()

    def remembered(self, name: str) -> tuple[bytes, Version] | None:
        """See `RemembersStates`; the other backend may remember nothing."""
        return self._inner.remembered(name) if isinstance(self._inner, RemembersStates) else None

    @property
    def is_looking(self) -> bool:
        """See `RemembersStates`."""
        return isinstance(self._inner, RemembersStates) and self._inner.is_looking

    def look(self, names: Collection[str] = (), beside: Callable[[], object] = lambda: None) -> None:
        """See `RemembersStates`."""
        if isinstance(self._inner, RemembersStates):
            self._inner.look(names, beside)
        else:
            beside()

    def look_away(self) -> None:
        """See `RemembersStates`."""
        if isinstance(self._inner, RemembersStates):
            self._inner.look_away()

    @property
    def prepares_puts(self) -> bool:
        """See `PreparesPuts`."""
        return isinstance(self._inner, PreparesPuts) and self._inner.prepares_puts

    def prepare(self, name: str, data: Buffer) -> None:
        """See `PreparesPuts`. The reserve is not spent for it: what finds no room is put as elsewhere."""
        if isinstance(self._inner, PreparesPuts):
            self._inner.prepare(name, data)

    def _with_room(self, call: Callable[[], T]) -> T:
        """Call again as long as the store is full and there is a piece of the reserve to give up."""
        is_refusal = True
        while True:
            try:
                return call()
            except StoreFullError as error:
                error.is_refusal = is_refusal = is_refusal and error.is_refusal
                if not (self._reserve.is_spent and self._reserve.give_up()):
                    raise


class ReservedDistantBackend(ReservedBackend):
    """The same where the store is behind a line."""

    def __init__(self, inner: Backend, reserve: Reserve, distant: DistantBackend) -> None:
        """`distant` is the other backend as one of these."""
        super().__init__(inner, reserve)
        self._distant = distant

    def run_together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """See `DistantBackend`."""
        return self._distant.run_together(calls)

    def fetched(self, names: Sequence[str] = (), prefixes: Sequence[str] = ()) -> AbstractContextManager[None]:
        """See `DistantBackend`."""
        return self._distant.fetched(names, prefixes)

    @property
    def worker_uploads(self) -> int:
        """See `DistantBackend`."""
        return self._distant.worker_uploads

    def expect(self, extents: Iterable[Extent]) -> None:
        """See `DistantBackend`."""
        self._distant.expect(extents)


def _inner(backend: Backend) -> Backend:
    return backend
