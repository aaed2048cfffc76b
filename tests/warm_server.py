"""Run `tallac` commands, each in a process that is forked from this one, which has the imports behind it.

A command's start costs a fifth of a second, nearly all of it for imports; the tests start thousands. What a forked process runs is
the command from its `main` on, with arguments, environment, working directory, descriptors, process and exit status of its own.
Only two things differ from a process of the user's: all modules are loaded, and a new passphrase is stretched at little cost.

Its only argument is the descriptor of a socket. Each message on it brings five descriptors: standard input, output and error; a
pipe that takes the command's process ID and its exit status, as two lines; and a file that holds the rest as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import tallac
from tallac.cli import main
from tallac.crypto.passphrases import PassphraseCost
from tallac.vault.access.passphrases import Passphrases

FILES = 5
CHEAP = PassphraseCost(memory_kib=1 << 10, passes=1, lanes=1)
# What commands load when they need it; keyring is not among it, because it looks at the environment while it is imported.
LIBRARIES = ("rich.progress", "segno", "sqlite3", "uvicorn", "starlette.requests")


def prepare() -> None:
    """Import what commands import, and let a new passphrase cost little; tests/unit and tests/formats try the real cost."""
    for module in pkgutil.walk_packages(tallac.__path__, "tallac."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in LIBRARIES:
        import_module(name)
    defaults = Passphrases.__init__.__kwdefaults__
    assert defaults is not None
    assert "cost" in defaults
    defaults["cost"] = CHEAP
    # A collection would write to all pages that forked processes share.
    gc.collect()
    gc.freeze()


def run(order: dict[str, object], descriptors: list[int]) -> NoReturn:
    """Turn this process into a command."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(len(descriptors), 1 + max(descriptors))
    arguments, environment, folder, umask = order["arguments"], order["environment"], order["folder"], order["umask"]
    assert isinstance(arguments, list)
    assert isinstance(environment, dict)
    assert isinstance(folder, str)
    assert isinstance(umask, int)
    os.chdir(folder)
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["tallac", *arguments]
    main()


def mind(channel: socket.socket, descriptors: list[int]) -> NoReturn:
    """Fork a command, and tell how it ends."""
    channel.close()
    *standard, pipe, file = descriptors
    with os.fdopen(file, encoding="utf-8") as opened:
        order = json.load(opened)
    child = os.fork()
    if not child:
        os.close(pipe)
        run(order, standard)
    for descriptor in standard:
        os.close(descriptor)
    os.write(pipe, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(pipe, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def serve() -> None:
    """Answer until the other end of the socket is closed."""
    prepare()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        while True:
            message, descriptors, _, _ = socket.recv_fds(channel, 1, FILES)
            if not message:
                return
            if not os.fork():
                mind(channel, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            reap()


def reap() -> None:
    """Wait for those that minded a command and have ended, so that their time counts as this process's."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    serve()
