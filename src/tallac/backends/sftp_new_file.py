"""A file in the making on a server, and whether it has got its name."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tallac.backends.sftp_answers import SERVER_FAILED, raise_first
from tallac.interfaces import Version

if TYPE_CHECKING:
    from tallac.backends.sftp_channel import RemoteFile


class NewFile:
    """A file that was made under a temporary name.

    Attributes:
        path: That name's path.
        file: The file there.
        no_folder: Why the folder that is to hold it could not be made; None where that was not tried, or it was made.
        version: The state of an object that its content is; b"" where it is not to follow another one.
        sweeping: The look for what killed runs have left that was under way when it was begun; None where there was none.
        is_named: Whether it is known to have got the name it was made for, or that of a claim.
        has_ended: Whether its temporary name was removed, or was about to be.
    """

    def __init__(self, path: str, file: RemoteFile) -> None:
        self.path = path
        self.file = file
        self.no_folder: OSError | None = None
        self.version: Version = b""
        self.sweeping: asyncio.Task[None] | None = None
        self.is_named = False
        self.has_ended = False


async def require_named(new: NewFile, path: str, answer: object) -> None:
    """Raise the error that a server has answered with to what was to name a file, unless the file has the name nevertheless."""
    is_refused = isinstance(answer, OSError) and answer.errno == SERVER_FAILED
    if not is_refused or not await new.file.has_name(path):
        raise_first([answer])
    new.is_named = True
