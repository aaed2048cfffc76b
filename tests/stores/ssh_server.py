"""A real sshd on loopback for tests, with a key of its own and files below a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
from tests.stores.engines import free_port, missing, start


class SshServer(msgspec.Struct, frozen=True):
    """A server that answers.

    Attributes:
        port: Where, on loopback.
        process: The process to end.
        folder: Its files: keys, `known_hosts`, log.
    """

    port: int
    process: int
    folder: Path

    @property
    def options(self) -> tuple[str, ...]:
        """What has to be said once of a location on it."""
        return (
            "--store",
            f"identity={self.folder / 'client'}",
            "--store",
            f"known-hosts={self.folder / 'known_hosts'}",
            "--store",
            f"ssh-config={self.folder / 'ssh_config'}",
        )

    def url(self, path: str | Path) -> str:
        """Return the location of a path."""
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{path}"


def make_key(path: Path) -> str:
    """Make a pair of keys, and return the public one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, stdin=subprocess.DEVNULL)
    return path.with_suffix(".pub").read_text().strip()


def start_sshd(folder: Path, port: int = 0) -> SshServer:
    """Start OpenSSH's server; a folder that was used before keeps its keys.

    It is its own sftp-server, the same code: for the program of that name it starts the user's shell first, whose start-up files
    may take longer than all that a test does.
    """
    sshd = shutil.which("sshd", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if sshd is None or shutil.which("ssh-keygen") is None:
        missing("OpenSSH's server is not installed: scripts/system-packages.sh does it on Debian")
    assert sshd is not None
    port = port or free_port()
    if not (folder / "host").exists():
        host_key = make_key(folder / "host")
        (folder / "authorized_keys").write_text(make_key(folder / "client") + "\n")
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(host_key.split()[:2])}\n")
        (folder / "ssh_config").write_text("")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'authorized_keys'}\n"
        f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile {folder / 'pid'}\n"
        f"PermitRootLogin yes\nMaxStartups 100\nSubsystem sftp internal-sftp\n"
    )
    process = start([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "log")
    return SshServer(port, process.pid, folder)
