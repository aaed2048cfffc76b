"""The output of a command, read as a stream that ends well only if the command does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from tallac.errors import SourceError
from tallac.interfaces import FileContent


@contextmanager
def running(command: Sequence[str]) -> Iterator[FileContent]:
    """Run a command for the length of a block; its standard output is the content. A block that fails ends the command.

    Reading raises SourceError at the end of the output where the command has failed.

    Raises:
        SourceError: It can't be run.
    """
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0)
    except OSError as error:
        raise SourceError(f"{command[0]}: can't be run ({error.strerror}); nothing was entered") from error
    assert process.stdout is not None
    with process.stdout as output:
        try:
            yield _Output(process, output, command[0])
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()


class _Output:
    """What a command writes; its arguments may hold secrets and are never told."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes], name: str) -> None:
        self._process = process
        self._output = output
        self._name = name

    def readinto(self, buffer: memoryview, /) -> int:
        content = self._output.read(len(buffer))
        buffer[: len(content)] = content
        if not content and len(buffer):
            status = self._process.wait()
            if status < 0:
                raise SourceError(f"{self._name}: it was ended by signal {-status}; nothing was entered")
            if status:
                raise SourceError(f"{self._name}: it ended with exit status {status}; nothing was entered")
        return len(content)
