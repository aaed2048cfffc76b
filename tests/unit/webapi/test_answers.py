from __future__ import annotations

import pytest

from tallac.errors import (
    ConflictError,
    MissingObjectError,
    ObjectNotFoundError,
    StoreBusyError,
    StoreError,
    StorePermissionError,
)
from tallac.webapi.answers import redacted, refusal

CAP = "URI:CHK:secretsecret:moresecret:1:1:100"


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (410, "NoSharesError: no shares could be found. Zero shares usually", MissingObjectError, "no storage server has a share"),
        (410, "NotEnoughSharesError: This indicates", MissingObjectError, "too few of its shares"),
        (410, "UnrecoverableFileError: the directory (or mutable file)", MissingObjectError, "can't be recovered"),
        (
            500,
            "Traceback\nallmydata.interfaces.UploadUnhappinessError: shares could be",
            StoreBusyError,
            "bring up more servers",
        ),
        (500, "allmydata.mutable.common.NotWriteableError", StorePermissionError, "use a write cap"),
        (409, "There was already a child by that name", ConflictError, "already"),
        (404, "No such child: x", ObjectNotFoundError, "no such thing"),
        (400, f"bad {CAP} thing\nmore", StoreError, "answered 400: bad (a cap) thing"),
    ],
)
def test_each_refusal_is_a_sentence(status: int, body: str, kind: type[StoreError], words: str) -> None:
    """An error answer of a gateway becomes one error of one line that names the place and shows no cap."""
    error = refusal("the place", status, body.encode())
    assert type(error) is kind
    assert str(error).startswith("the place: ")
    assert words in str(error)
    assert "\n" not in str(error)
    assert "secret" not in str(error)


def test_a_page_is_cut_to_its_first_line() -> None:
    """Of a page in HTML the first words are shown, printable and short."""
    assert redacted("<html>\n<body>\n<h1>Oh\x07 no</h1>") == "Oh? no"
    assert len(redacted("x" * 1000)) < 300
    assert redacted("") == "nothing more"
