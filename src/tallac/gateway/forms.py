"""Forms that a client posts: fields, and at most one file, which is kept on disk if it is large."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import msgspec
from starlette.requests import Request

from tallac.errors import RequestError
from tallac.gateway.arguments import FIELDS_MAX, parse_query
from tallac.gateway.bodies import Spool, parts, read_body

FIELD_SIZE_MAX = 1 << 20
FIELDS_SIZE_MAX = 4 << 20
"""The longest field, and the longest sum of all fields but the file, in bytes: they are kept in memory."""

_HEAD_SIZE_MAX = 16 << 10
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Form(msgspec.Struct):
    """The fields of a form, and its file.

    Attributes:
        fields: Values by name, the first of several with one name.
        file: The content of the field `file`, rewound; None if there is none.
        filename: The name of that file on the client.
    """

    fields: dict[str, str] = msgspec.field(default_factory=dict)
    file: Spool | None = None
    filename: str | None = None

    def close(self) -> None:
        """Delete the file."""
        if self.file is not None:
            self.file.close()


async def read_form(request: Request) -> Form | None:
    """Read the form of a request; return None if its body is not a form.

    Raises:
        RequestError: The form is malformed, or too large.
    """
    kind = request.headers.get("content-type", "")
    if kind.lower().startswith("application/x-www-form-urlencoded"):
        return Form(parse_query(await read_body(request, FIELD_SIZE_MAX)))
    if not kind.lower().startswith("multipart/form-data"):
        return None
    match = _BOUNDARY.search(kind)
    if match is None:
        raise RequestError("a form of several parts needs a boundary")
    form = Form()
    try:
        await _MultipartReader(parts(request), (match[1] or match[2]).encode("latin-1")).read(form)
    except BaseException:
        form.close()
        raise
    return form


class _MultipartReader:
    """Parses a `multipart/form-data` body (RFC 7578) as a stream, with one part of the body and one boundary in memory."""

    def __init__(self, source: AsyncIterator[bytes], boundary: bytes) -> None:
        self._source = source
        self._mark = b"\r\n--" + boundary
        # The first boundary is at the beginning of the body, without a line break before it.
        self._held = b"\r\n"
        self._count = 0
        self._size = 0

    async def read(self, form: Form) -> None:
        async for _preamble in self._until_mark():
            pass
        while not await self._is_end():
            self._count += 1
            if self._count > FIELDS_MAX:
                raise RequestError("a form has too many fields", 413)
            name, filename = await self._head()
            if name == "file" and form.file is None:
                form.file, form.filename = Spool(), filename
                async for part in self._until_mark():
                    await form.file.write(part)
                await form.file.finish()
            else:
                form.fields.setdefault(name, await self._value())

    async def _value(self) -> str:
        value = bytearray()
        async for part in self._until_mark():
            value += part
            self._size += len(part)
            if len(value) > FIELD_SIZE_MAX or self._size > FIELDS_SIZE_MAX:
                raise RequestError("a field of a form is too large, or all of them together", 413)
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise RequestError("a field of a form is not UTF-8") from None

    async def _until_mark(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes before the next boundary, and skip the boundary."""
        while True:
            place = self._held.find(self._mark)
            if place >= 0:
                before, self._held = self._held[:place], self._held[place + len(self._mark) :]
                if before:
                    yield before
                return
            # The last bytes may be the beginning of the boundary.
            safe = len(self._held) - len(self._mark)
            if safe > 0:
                before, self._held = self._held[:safe], self._held[safe:]
                yield before
            await self._more()

    async def _is_end(self) -> bool:
        while len(self._held) < 2:
            await self._more()
        if self._held[:2] == b"--":
            async for _epilogue in self._source:
                pass
            return True
        return False

    async def _head(self) -> tuple[str, str | None]:
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > _HEAD_SIZE_MAX:
                raise RequestError("a part of a form has too long a head", 413)
            await self._more()
        head, self._held = self._held[:end], self._held[end + 4 :]
        for line in head.decode("utf-8", "replace").split("\r\n"):
            title, _, text = line.partition(":")
            if title.strip().lower() == "content-disposition":
                given = {key.lower(): re.sub(r"\\(.)", r"\1", value) for key, value in _PARAMETER.findall(text)}
                if "name" in given:
                    return given["name"], given.get("filename")
        raise RequestError("a part of a form has no name")

    async def _more(self) -> None:
        try:
            self._held += await anext(self._source)
        except StopAsyncIteration:
            raise RequestError("a form ends before its last boundary") from None
