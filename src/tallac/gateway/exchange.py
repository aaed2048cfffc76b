"""One request and everything that is needed to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TypeVar

import msgspec
from starlette.requests import Request

from tallac.caps import Cap
from tallac.errors import FencedError, MalformedCapError, RequestError
from tallac.gateway.arguments import Arguments
from tallac.gateway.bodies import IN_MEMORY_SIZE_MAX, JSON_SIZE_MAX, Spool, StoppableContent, parts, spool_body
from tallac.gateway.children import NewEntry, parse_children
from tallac.gateway.edge_metadata import Now
from tallac.gateway.forms import Form
from tallac.gateway.grid_pool import GridPool
from tallac.gateway.nodes import cap_of_text
from tallac.gateway.operations import Operations
from tallac.gateway.putting import Target
from tallac.interfaces import FileContent, Grid

T = TypeVar("T")


class LargeBodies:
    """A gate for requests whose body is large: a few are let in, and the next ones wait until one is answered."""

    def __init__(self, gate: asyncio.Semaphore, until_answered: AsyncExitStack) -> None:
        """Use the gate of a gateway, and what one request closes at its end."""
        self._gate = gate
        self._until_answered = until_answered

    async def enter(self) -> None:
        """Wait until there is room for this request."""
        await self._until_answered.enter_async_context(self._gate)


class Exchange(msgspec.Struct, frozen=True):
    """One request and the workers that answer it.

    Attributes:
        request: The request as it arrived; its body is read at most once.
        arguments: The arguments of its URL and its form.
        segments: The decoded path of its URL after `/uri` or the other first segment.
        has_slash: Whether a slash ends the path.
        form: Its form; None if it has none.
        pool, operations, now: Those of the gateway.
        large_bodies: Lets in a few large lists of children at a time.
    """

    request: Request
    arguments: Arguments
    segments: list[str]
    has_slash: bool
    form: Form | None
    pool: GridPool
    operations: Operations
    now: Now
    large_bodies: LargeBodies

    @property
    def cap(self) -> Cap:
        """The cap that the path begins with.

        Raises:
            RequestError: The first segment is not a cap.
        """
        try:
            return cap_of_text(self.segments[0])
        except MalformedCapError as error:
            raise RequestError(str(error)) from None

    @property
    def path(self) -> list[str]:
        """The names in the path after the cap."""
        return self.segments[1:]

    @property
    def target(self) -> Target:
        """The target of a PUT, POST or DELETE."""
        return Target(self.cap, self.path, self.arguments.replace(), self.now)

    async def is_empty(self) -> bool:
        """Whether the body has no bytes; that of a form has none, since all of it has become fields."""
        if self.form is not None:
            return True
        async for part in parts(self.request):
            if part:
                return False
        return True

    async def children(self) -> list[NewEntry]:
        """Parse the body as entries of a directory, outside the event loop."""
        if self.form is not None:
            return []
        spool = await spool_body(self.request, JSON_SIZE_MAX)
        try:
            if spool.size > IN_MEMORY_SIZE_MAX:
                # It takes many times its size in memory, from here until it is stored.
                await self.large_bodies.enter()
            return await asyncio.to_thread(lambda: parse_children(spool.file.read()))
        finally:
            spool.close()

    def form_file(self) -> Spool:
        """Return the file of the form, rewound.

        Raises:
            RequestError: The request has no form, or its form has no file.
        """
        if self.form is None or self.form.file is None:
            raise RequestError("upload requires a form of several parts (multipart/form-data) with a file in the field 'file'")
        return self.form.file

    async def read(self, call: Callable[[Grid], T]) -> T:
        """Run a call that reads, in the least busy worker for reading."""
        return await self.pool.reading().run(call)

    async def store(self, spool: Spool, call: Callable[[Grid, FileContent], T]) -> T:
        """Run a call that stores an upload; repeat it once where a prune fenced the session."""
        content = StoppableContent(spool.file, self.pool.require_open)
        try:
            return await self.write(lambda grid: call(grid, content))
        except FencedError:
            spool.file.seek(0)
            return await self.write(lambda grid: call(grid, content))

    async def write(self, call: Callable[[Grid], T]) -> T:
        """Run a call that stores or changes something, in the least busy worker for writing."""
        return await self.pool.writing().run(call)
