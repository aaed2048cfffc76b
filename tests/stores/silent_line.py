"""A line to a server that falls silent: from some moment on nothing passes either way, and no connection ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

READ_SIZE = 64 << 10


class SilentLine:
    """A server in front of another one on loopback.

    Attributes:
        port: Where clients connect.
        passed: How many pieces of what clients have sent went on to the other server.
        is_silent: Set once nothing passes any more.
    """

    def __init__(self, port: int) -> None:
        """Pass bytes on to a port."""
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.passed = 0
        self.is_silent = threading.Event()
        self._passes: int | None = None
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def fall_silent_after(self, pieces: int | None) -> None:
        """Let so many further pieces from clients pass, and then nothing; None for all."""
        with self._lock:
            self.passed, self._passes = 0, pieces
            self.is_silent.clear()

    def stop(self) -> None:
        """Break off all connections, and take none any more."""
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()
            threading.Thread(target=self._pass_back, args=(far, near), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while part := near.recv(READ_SIZE):
                with self._lock:
                    if self.passed == self._passes:
                        self.is_silent.set()
                        return
                    self.passed += 1
                far.sendall(part)
            far.shutdown(socket.SHUT_WR)

    def _pass_back(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while part := far.recv(READ_SIZE):
                if self.is_silent.is_set():
                    return
                near.sendall(part)
            if not self.is_silent.is_set():
                near.shutdown(socket.SHUT_WR)


@contextmanager
def silent_line(port: int) -> Iterator[SilentLine]:
    """Give such a line for the length of the block; all passes at first."""
    line = SilentLine(port)
    try:
        yield line
    finally:
        line.stop()
