from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.types import Message, Scope

from tallac.errors import RequestError
from tallac.gateway.forms import Form, read_form

CONTENT = b"\r\n--B\r\n--BOUND\r\n" + random.Random(1).randbytes(3000) + b"\r\n--BOUNDAR"
BODY = (
    b'preamble\r\n--BOUNDARY\r\nContent-Disposition: form-data; name="t"\r\n\r\nupload\r\n'
    b'--BOUNDARY\r\ncontent-disposition: form-data; name="file"; filename="a \\"b\\".txt"\r\nContent-Type: x/y\r\n\r\n'
    + CONTENT
    + b'\r\n--BOUNDARY\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n--BOUNDARY--\r\nepilogue'
)


def _request(body: bytes, step: int, kind: str = "multipart/form-data; boundary=BOUNDARY") -> Request:
    async def parts() -> AsyncIterator[Message]:
        for place in range(0, len(body), step):
            yield {"type": "http.request", "body": body[place : place + step], "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    messages = parts()

    async def receive() -> Message:
        return await anext(messages)

    scope: Scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    return Request(scope, receive)


def _read(body: bytes, step: int = 1 << 20, kind: str = "multipart/form-data; boundary=BOUNDARY") -> Form | None:
    return asyncio.run(read_form(_request(body, step, kind)))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 11, 100, 1 << 20])
def test_forms_are_read_in_any_steps(step: int) -> None:
    """Wherever the network cuts it, a form has its fields and its file, byte for byte."""
    form = _read(BODY, step)
    assert form is not None
    assert form.fields == {"t": "upload", "empty": ""}
    assert form.filename == 'a "b".txt'
    assert form.file is not None
    assert form.file.file.read() == CONTENT
    form.close()


@pytest.mark.parametrize("length", range(0, len(BODY) - 30, 97))
def test_forms_that_end_early_are_refused(length: int) -> None:
    """A form without its last boundary is no form."""
    with pytest.raises(RequestError):
        _read(BODY[:length])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (BODY, "multipart/form-data"),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--B--', "multipart/form-data; boundary=B"),
        (b"--B\r\nX: y\r\n\r\n\r\n--B--", "multipart/form-data; boundary=B"),
        (b"--B\r\n" + b"x" * 20_000, "multipart/form-data; boundary=B"),
        (
            b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"x" * (2 << 20) + b"\r\n--B--",
            "multipart/form-data; boundary=B",
        ),
        (b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n' * 1001 + b"--B--", "multipart/form-data; boundary=B"),
    ],
    ids=["no boundary", "no text", "no name", "long head", "large field", "many fields"],
)
def test_odd_forms_are_refused(body: bytes, kind: str) -> None:
    """A form without a boundary or names, with large or very many fields, or no text in them, is refused."""
    with pytest.raises(RequestError):
        _read(body, kind=kind)


def test_other_kinds_of_body() -> None:
    """A form in the form of a query is read; what is no form is left to be read otherwise."""
    form = _read(b"t=mkdir&name=a+b", kind="application/x-www-form-urlencoded")
    assert form is not None
    assert form.fields == {"t": "mkdir", "name": "a b"}
    assert _read(b"{}", kind="application/json") is None
