"""Deduplication of file contents while they are uploaded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from tallac.crypto.hashing import hash_file_bytes

REMEMBERED_MAX = 100_000
"""Contents that are remembered; they take 25 MB of memory."""


class Copies:
    """Stores equal contents once, as long as they are remembered. Thread-safe.

    A node would encode and place a copy again, only to find out that it is there; and of two that come at the same time it refuses
    one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stored: dict[bytes, bytes] = {}
        self._under_way: dict[bytes, Future[bytes]] = {}

    def store(self, content: bytes, store: Callable[[bytes], bytes]) -> bytes:
        """Return the encoded cap of a content; call `store` for it unless another call has done so, or wait for one in progress.

        Raises:
            Exception: Whatever `store` raises, in every call that waits for it.
        """
        digest = hash_file_bytes(content)
        own: Future[bytes] = Future()
        with self._lock:
            encoded = self._stored.get(digest)
            other = self._under_way.get(digest)
            if encoded is None and other is None:
                self._under_way[digest] = own
        if encoded is not None:
            return encoded
        if other is not None:
            return other.result()
        try:
            encoded = store(content)
            self._remember(digest, encoded)
        except BaseException as error:
            own.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._under_way[digest]
        own.set_result(encoded)
        return encoded

    def _remember(self, digest: bytes, encoded: bytes) -> None:
        with self._lock:
            if len(self._stored) == REMEMBERED_MAX:
                del self._stored[next(iter(self._stored))]
            self._stored[digest] = encoded
