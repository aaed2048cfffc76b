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
import selectors
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import tallac
from tallac.backends.memory import MemoryBackend
from tallac.cli import main
from tallac.crypto.passphrases import PassphraseCost
from tallac.testing.sample_vault import back_up, create_target, noise, read_tree
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.prune.prune import Prune
from tallac.vault.prune.report import PruneOptions
from tallac.vault.vault import create_vault, open_vault

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
    rehearse()
    # asyncssh looks for libraries while it is imported, in which a compiler takes part; each command has its own temporary folder.
    tempfile.tempdir = None
    # A collection would write to all pages that forked processes share.
    gc.collect()
    gc.freeze()


def rehearse() -> None:
    """Use a vault in memory once: what OpenSSL and others prepare at their first call, each command would prepare anew."""
    backend = MemoryBackend()
    key = create_vault(backend)
    with tempfile.TemporaryDirectory() as folder:
        with open_vault(backend, key, state=Path(folder, "writer")) as vault:
            target = create_target(vault)
            snapshot = back_up(vault, target, b"one", {b"small": b"content", b"large": noise(1, 100_000), b"folder": {}})
            assert len(list(read_tree(vault, snapshot))) == 3
            assert vault.check(target, read_data=True).is_healthy
        with open_vault(backend, key.keeper_key, state=Path(folder, "keeper")) as vault:
            Prune(vault.components, PruneOptions()).run()
    assert threading.active_count() == 1, "a process with threads is not to be forked"


def run(descriptors: list[int]) -> NoReturn:
    """Turn this process into a command."""
    *standard, file = descriptors
    with os.fdopen(file, encoding="utf-8") as opened:
        order = json.load(opened)
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(order["folder"])
    os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[:0] = order["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["tallac", *order["arguments"]]
    main()


class Server:
    """Forks commands, and tells how each ends.

    Args:
        channel: Where the orders come from.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        # It has no descriptor of its own, which a command would inherit.
        self._selector = selectors.PollSelector()
        self._selector.register(channel, selectors.EVENT_READ)

    def serve(self) -> None:
        """Answer until the other end of the channel is closed."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._channel:
                    self._tell(key)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._channel, 1, FILES)
                if not message:
                    return
                self._fork(descriptors)

    def _fork(self, descriptors: list[int]) -> None:
        *standard, pipe, file = descriptors
        child = os.fork()
        if not child:
            os.close(pipe)
            for key in self._selector.get_map().values():
                os.close(key.fd)
                if key.data is not None:
                    os.close(key.data[1])
            run([*standard, file])
        for descriptor in (*standard, file):
            os.close(descriptor)
        os.write(pipe, f"{child}\n".encode())
        self._selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, pipe))

    def _tell(self, key: selectors.SelectorKey) -> None:
        """Write the exit status of a command that has ended; its time counts as this process's now."""
        child, pipe = key.data
        self._selector.unregister(key.fileobj)
        os.close(key.fd)
        _, status = os.waitpid(child, 0)
        # Whoever has given it up no longer reads.
        with suppress(BrokenPipeError):
            os.write(pipe, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os.close(pipe)


if __name__ == "__main__":
    prepare()
    with socket.socket(fileno=int(sys.argv[1])) as socket_of_tests:
        Server(socket_of_tests).serve()
