"""One request and what it needs to be answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.requests import Request

from tallac.caps import Cap, parse_lenient
from tallac.errors import FencedError, MalformedCapError, RequestError
from tallac.gateway.arguments import Arguments
from tallac.gateway.bodies import Spool, read_body
from tallac.gateway.children import Child, parse_children
from tallac.gateway.edge_metadata import Now
from tallac.gateway.forms import Form
from tallac.gateway.lanes import Lanes
from tallac.gateway.operations import Operations
from tallac.gateway.putting import Target
from tallac.interfaces import Grid

T = TypeVar("T")


class Exchange(msgspec.Struct, frozen=True):
    """One request.

    Attributes:
        request: As it came; its body is read at most once.
        arguments: Of its URL and form.
        segments: The path of its URL below `/uri` and the like.
        form: Its form, where it carries one.
        lanes, operations, now: The gateway's.
    """

    request: Request
    arguments: Arguments
    segments: list[str]
    form: Form | None
    lanes: Lanes
    operations: Operations
    now: Now

    @property
    def cap(self) -> Cap:
        """The cap with which the path begins.

        Raises:
            RequestError: It is none.
        """
        try:
            return parse_lenient(self.segments[0])
        except MalformedCapError as error:
            raise RequestError(str(error)) from None

    @property
    def path(self) -> list[str]:
        """The names after the cap."""
        return self.segments[1:]

    @property
    def target(self) -> Target:
        """Where something is to be put."""
        return Target(self.cap, self.path, self.arguments.replace(), self.now)

    async def body(self) -> bytes:
        """Read the body, which has to fit into memory; a form has none beside its fields."""
        return b"" if self.form is not None else await read_body(self.request)

    async def children(self) -> list[Child]:
        """Read the body as the children of a directory."""
        return parse_children(await self.body())

    def form_file(self) -> Spool:
        """Give the file of the form.

        Raises:
            RequestError: There is none.
        """
        if self.form is None or self.form.file is None:
            raise RequestError("upload requires a form of several parts (multipart/form-data) with a file in the field 'file'")
        return self.form.file

    async def read(self, call: Callable[[Grid], T]) -> T:
        """Run a call that reads, in a lane."""
        return await self.lanes.reading().run(call)

    async def store(self, spool: Spool, call: Callable[[Grid], T]) -> T:
        """Run a call that stores what a client has sent; once more where a prune took over meanwhile."""
        try:
            return await self.write(call)
        except FencedError:
            spool.file.seek(0)
            return await self.write(call)

    async def write(self, call: Callable[[Grid], T]) -> T:
        """Run a call that stores or changes, in a lane."""
        return await self.lanes.writing().run(call)
