"""The folder in which a client keeps what it knows of one vault: the index copy, what it has seen, and the vault's header.

Reading a vault needs no writes: where the folder can't be written (a full or read-only disk), a temporary one serves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from tallac.errors import CorruptObjectError, LocalStateError, UnsupportedFormatError, VaultNotFoundError
from tallac.local_files import Durability, make_private_folders, replace
from tallac.vault.format.header import Header, decode_header
from tallac.vault.mutable.rollback import SEEN_FILE, SeenStates

HEADER_FILE = "header"
ROOM_MIN = 1 << 20
"""Where fewer bytes are free than this, writing might begin and not come to its end."""


class StateFolder(msgspec.Struct, frozen=True):
    """Where local state goes.

    Attributes:
        folder: It exists and can be written.
        is_temporary: It goes when it is closed, and nothing is remembered.
    """

    folder: Path
    is_temporary: bool

    def save(self, memory: SeenStates) -> None:
        """Keep what was seen, or throw the temporary folder away."""
        if not self.is_temporary:
            memory.save()
        self.close()

    def close(self) -> None:
        """Throw a temporary folder away."""
        if self.is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)


def remember_header(state: StateFolder, header: Header) -> None:
    """Keep a vault's header, so that whoever has no writer key can write it anew as well; where it can't be kept, that is lost."""
    path = state.folder / HEADER_FILE
    with contextlib.suppress(OSError):
        if not state.is_temporary and not (path.is_file() and path.read_bytes() == header.encode()):
            replace(path, header.encode(), Durability.CONTENT)


def remembered_header(folder: Path) -> Header | None:
    """Return the header that a state folder keeps; None where it keeps none. It proves itself, as in the vault."""
    try:
        return decode_header((folder / HEADER_FILE).read_bytes(), str(folder))
    except (OSError, CorruptObjectError, UnsupportedFormatError, VaultNotFoundError):
        return None


def open_state_folder(folder: Path, *, kept: str = SEEN_FILE, room: int = ROOM_MIN) -> StateFolder:
    """Make the folder, private to the user, and find out whether it can be written.

    Args:
        folder: Where the state belongs.
        kept: The file in it that is copied where a temporary folder has to do.
        room: How many bytes have to be free there.

    Raises:
        LocalStateError: Neither it nor a temporary one can be written.
    """
    try:
        make_private_folders(folder)
        _probe(folder, room)
        return StateFolder(folder, is_temporary=False)
    except OSError as error:
        return _temporary(folder, kept, room, error)


def _probe(folder: Path, room: int) -> None:
    """Find out whether a folder can be written, by looking and by writing: a quota shows in no other way. Raises OSError."""
    if shutil.disk_usage(folder).free < room:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(bytes(4096))
        probe.flush()


def _temporary(folder: Path, kept: str, room: int, cause: OSError) -> StateFolder:
    for place in (None, "/dev/shm"):  # noqa: S108  mkdtemp makes a private folder in it.
        with contextlib.suppress(OSError):
            made = Path(tempfile.mkdtemp(prefix="tallac-", dir=place))
            try:
                _probe(made, room)
            except OSError:
                shutil.rmtree(made, ignore_errors=True)
                continue
            with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                shutil.copy(folder / kept, made / kept)
            return StateFolder(made, is_temporary=True)
    raise LocalStateError(f"can't write local state in {folder}: {cause.strerror}") from cause
