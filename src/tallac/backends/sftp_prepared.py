"""The files of states that are put soon: made ahead on a server under temporary names, so that nobody takes them for objects."""

from __future__ import annotations

import concurrent.futures
import threading

from tallac.backends.sftp_new_file import NewFile
from tallac.backends.sftp_remains import SftpRemains
from tallac.backends.sftp_session import FAREWELL_SECONDS, SftpSession
from tallac.errors import StoreError
from tallac.interfaces import Version


class PreparedFiles:
    """Files that are being made ahead, by the states of objects that their bytes are. Thread-safe."""

    def __init__(self, session: SftpSession, remains: SftpRemains) -> None:
        """Hold none yet."""
        self._session = session
        self._remains = remains
        self._lock = threading.Lock()
        self._making: dict[Version, tuple[str, concurrent.futures.Future[NewFile]]] = {}

    def add(self, version: Version, path: str, making: concurrent.futures.Future[NewFile]) -> None:
        """Add a file that was begun at a path. Of two of one state, the first one is no more than a remnant."""
        with self._lock:
            former = self._making.get(version)
            self._making[version] = (path, making)
        if former is not None:
            self._remains.note(former[0])

    def take(self, version: Version) -> NewFile | None:
        """Return a file once all of its bytes are durable, to whoever asks first; None where there is none, or it has failed."""
        with self._lock:
            path, making = self._making.pop(version, (None, None))
        if path is None or making is None:
            return None
        try:
            new = making.result()
        except (OSError, StoreError, concurrent.futures.CancelledError):
            # Whoever puts it writes it once more, and is told what is wrong by that.
            self._remains.note(path)
            return None
        except BaseException:
            self._remains.note(path)
            raise
        if not self._session.is_current(new.file.channel):
            self._remains.note(path)
            return None
        return new

    def leave(self) -> None:
        """Note those that nobody has taken among what is to be removed; what is being made is waited for a little."""
        with self._lock:
            left, self._making = list(self._making.values()), {}
        concurrent.futures.wait([making for _, making in left], FAREWELL_SECONDS)
        for path, making in left:
            making.cancel()
            self._remains.note(path)
