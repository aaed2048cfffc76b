"""Files that only the user can read, from their first moment on."""

from __future__ import annotations

import os
from pathlib import Path

from tallac.errors import OutputError, UsageError


def write_new_private_file(path: Path, content: bytes) -> None:
    """Make a file with this content; durable when this returns.

    Raises:
        UsageError: There is such a file.
        OutputError: It can't be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(f"{path}: there is such a file already; choose another name") from None
    except OSError as error:
        raise OutputError(f"{path}: can't write it ({error.strerror})") from error
