#!/usr/bin/env bash
# asyncssh 2.24.1: where ssh_config has a RemoteCommand for a host, start_sftp_client runs that command on the server, and no SFTP.
#
# The session for SFTP is opened as one for a command would be, and the configuration's command comes before the subsystem that was asked
# for. It is run, and the caller learns of it as of a connection that broke. OpenSSH's sftp ends with an error before anything is run.
# Seen with asyncssh 2.24.1 on Python 3.11 beside OpenSSH 9.2, one server, which notes what it is asked for, and one configuration:
#
#                                start_sftp_client, then a listing            OpenSSH's sftp, the same listing
#   without the option           listed                                       listed
#   RemoteCommand echo hello     SFTPConnectionLost; the command was run      status 255; nothing was run
#
# A host that people enter through tmux or sudo has such a line, and programs with SFTP meet it there.
#
# Consequence for Tallac: src/tallac/backends/sftp_channel.py gives the command itself, as None. Fails when this changes.
set -euo pipefail
command -v sftp >/dev/null || { echo "needs OpenSSH's sftp" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install asyncssh==2.24.1
export HOME="$folder"
ssh -V
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import asyncssh

FOLDER = Path(sys.argv[1])
CONFIG = FOLDER / "config"
RUN = []

print("asyncssh", version("asyncssh"), "Python", sys.version.split()[0])


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False


def note(process):
    RUN.append(process.command)
    process.exit(0)


async def by_asyncssh():
    async with asyncssh.connect("box", config=[str(CONFIG)], known_hosts=None, client_keys=None) as connection:
        try:
            async with connection.start_sftp_client() as client:
                return "seen" if "here" in await client.listdir(str(FOLDER)) else "not seen"
        except asyncssh.SFTPConnectionLost:
            return "connection lost"


def by_openssh():
    options = ["-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={FOLDER / 'known'}", "-o", "LogLevel=ERROR"]
    command = ["sftp", "-q", "-b", "-", "-F", str(CONFIG), *options, "box"]
    done = subprocess.run(command, input=f"ls -1 {FOLDER}\n", capture_output=True, text=True, timeout=60)
    return "seen" if done.returncode == 0 and "/here" in done.stdout else f"status {done.returncode}"


async def main():
    (FOLDER / "here").touch()
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[key], process_factory=note, sftp_factory=asyncssh.SFTPServer
    )
    found = {}
    for line in ("", "RemoteCommand echo hello"):
        CONFIG.write_text(f"Host box\n  HostName 127.0.0.1\n  Port {server.get_port()}\n  {line}\n")
        RUN.clear()
        listed = await by_asyncssh()
        run_by_asyncssh = list(RUN)
        RUN.clear()
        found[line] = (listed, run_by_asyncssh, await asyncio.to_thread(by_openssh), list(RUN))
        print(repr(line), *found[line])
    server.close()
    expected = {
        "": ("seen", [], "seen", []),
        "RemoteCommand echo hello": ("connection lost", ["echo hello"], "status 255", []),
    }
    assert found == expected, "it behaves otherwise by now"


asyncio.run(main())
PYTHON
