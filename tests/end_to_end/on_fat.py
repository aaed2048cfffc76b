"""The first and only program of a kernel that a test boots in a process: it mounts a FAT disk and runs commands on it.

Called with the kernel's module folder, the disk's mount point, and the commands, one JSON array each. It tells after each command
how that has ended, and waits to be killed at the end: that is the power failure.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys

FINIT_MODULE = 313
"""The number of the system call on x86-64, the only machine that this kernel is made for."""

MODULES = ("fat/fat", "fat/vfat", "nls/nls_cp437", "nls/nls_iso8859-1", "nls/nls_ascii")


def call(name: str, number: int) -> None:
    """Raise OSError where a call has failed."""
    if number:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def tell(line: str) -> None:
    """Tell the test something."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(modules: str, mount: str, commands: list[str]) -> None:
    """Do it."""
    libc = ctypes.CDLL(None, use_errno=True)
    for module in MODULES:
        descriptor = os.open(os.path.join(modules, f"{module}.ko"), os.O_RDONLY)
        call(module, libc.syscall(FINIT_MODULE, descriptor, b"", 0))
        os.close(descriptor)
    call("/proc", libc.mount(b"proc", b"/proc", b"proc", 0, None))
    call(mount, libc.mount(b"/dev/ubda", mount.encode(), b"vfat", 0, None))
    for text in commands:
        command = json.loads(text)
        ended = subprocess.run([sys.executable, "-m", "tallac", *command], capture_output=True, text=True, check=False)
        tell(json.dumps({"command": command, "status": ended.returncode, "out": ended.stdout, "err": ended.stderr}))
    tell("waiting")
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
