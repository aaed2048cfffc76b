"""The `tallac` command without its start: see warm_server.py."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

SERVER = Path(__file__).with_name("warm_server.py")
CHUNK_SIZE = 1 << 16


class WarmCommand:
    """A process that has all imports behind it, and forks one for each command.

    Args:
        environment: The server's own; a command gets another.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, SERVER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=dict(environment),
                pass_fds=[theirs.fileno()],
            )

    def close(self) -> None:
        """End the server."""
        self._channel.close()
        self._process.wait()

    def __call__(
        self, arguments: Sequence[str | bytes | Path], environment: Mapping[str, str], stdin: bytes, timeout: float
    ) -> tuple[int, bytes, bytes]:
        """Run a command as `subprocess.run` does, and return its exit status, output and errors.

        Raises:
            TimeoutExpired: It took too long, and was killed.
        """
        with ExitStack() as stack:
            pipes = [os.pipe() for _ in range(4)]
            # Theirs are the reading end of standard input, and the writing ends of the others.
            (in_read, in_write), *others = pipes
            theirs = [in_read, *(write for _, write in others)]
            sink = stack.enter_context(os.fdopen(in_write, "wb", buffering=0))
            out, err, end = [stack.enter_context(os.fdopen(read, "rb", buffering=0)) for read, _ in others]
            with tempfile.TemporaryFile() as order:
                order.write(_order(arguments, environment))
                order.seek(0)
                socket.send_fds(self._channel, [b"."], [*theirs, order.fileno()])
            for descriptor in theirs:
                os.close(descriptor)
            child = int(end.readline())
            try:
                output, errors = _communicate(sink, stdin, (out, err), timeout)
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                assert int(end.readline()) == -signal.SIGKILL
                raise subprocess.TimeoutExpired(["tallac", *map(os.fsdecode, arguments)], timeout) from None
            return int(end.readline()), output, errors


def _order(arguments: Sequence[str | bytes | Path], environment: Mapping[str, str]) -> bytes:
    umask = os.umask(0o022)
    os.umask(umask)
    words = [os.fsdecode(argument) for argument in arguments]
    return json.dumps({"arguments": words, "environment": dict(environment), "folder": str(Path.cwd()), "umask": umask}).encode()


def _communicate(sink: FileIO, stdin: bytes, sources: Sequence[FileIO], timeout: float) -> list[bytes]:
    """Write standard input, and close it, while the outputs are read to their ends."""
    deadline, rest = time.monotonic() + timeout, memoryview(stdin)
    found = {source: bytearray() for source in sources}
    os.set_blocking(sink.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(sink, selectors.EVENT_WRITE)
        for source in sources:
            selector.register(source, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for file in [key.fileobj for key, _ in ready]:
                if file is sink:
                    rest = _write(sink, rest)
                    if not rest:
                        selector.unregister(sink)
                        sink.close()
                elif isinstance(file, FileIO):
                    chunk = file.read(CHUNK_SIZE)
                    found[file] += chunk
                    if not chunk:
                        selector.unregister(file)
    return [bytes(found[source]) for source in sources]


def _write(sink: FileIO, rest: memoryview) -> memoryview:
    """Write what there is room for, and return what is left; nothing where nobody reads it."""
    try:
        return rest[sink.write(rest[:CHUNK_SIZE]) :] if rest else rest
    except BrokenPipeError:
        return rest[:0]
