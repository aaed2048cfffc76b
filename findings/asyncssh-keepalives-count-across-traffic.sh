#!/usr/bin/env bash
# asyncssh 2.24.1: keepalives that wait behind an upload end a connection from which packets come in all the time.
#
# keepalive_count_max says how many keepalives may be sent without an answer. What comes in meanwhile sets the timer back, but not the
# count: that takes an answer to a keepalive, and on a slow line the keepalive itself waits behind up to 2 MiB of the body that is being
# sent. OpenSSH's client, whose options resemble these in name and default, sets its count back with every packet. Seen with asyncssh
# 2.24.1 on Python 3.11 beside OpenSSH 9.2: a file of 4 MiB over SFTP to asyncssh's own server, 256 KiB a second on the way there and no
# limit on the way back, a keepalive each second, five unanswered ones allowed:
#
#   asyncssh's client, keepalive_interval=1, keepalive_count_max=5      ConnectionLost after 7 s; the server never silent for 5 s
#   OpenSSH's sftp, ServerAliveInterval=1, ServerAliveCountMax=5        the whole file after 18 s
#   asyncssh's client without keepalives                                the whole file after 18 s
#
# The server opens the window of the channel each 4 s here. OpenSSH's does so each 100 KB, so with it the line has to be slower still.
#
# Consequence for Tallac: src/tallac/backends/sftp_login.py sets a count that is never reached, and limits the time in which nothing at
# all is heard. Fails when this changes.
set -euo pipefail
for tool in sftp ssh-keygen; do command -v "$tool" >/dev/null || { echo "needs OpenSSH's $tool" >&2; exit 2; }; done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install asyncssh==2.24.1
export HOME="$folder"
ssh -V
ssh-keygen -q -t ed25519 -N '' -f "$folder/key"
head -c 4194304 /dev/urandom >"$folder/body"
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import asyncio
import sys
import time
from importlib.metadata import version
from pathlib import Path

import asyncssh

FOLDER = Path(sys.argv[1])
RATE = 256 << 10
PIECE = 16 << 10
CONNECTIONS = []

print("asyncssh", version("asyncssh"), "Python", sys.version.split()[0])


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return False


async def line(port, came_in):
    """Listen before a server: so many bytes a second to it, all at once from it, and note when something came."""

    async def copy(reader, writer, rate, times):
        free_at = time.monotonic()
        while data := await reader.read(PIECE):
            times.append(time.monotonic())
            if rate:
                free_at = max(free_at, time.monotonic()) + len(data) / rate
                await asyncio.sleep(max(0, free_at - time.monotonic()))
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader, writer):
        CONNECTIONS.append(asyncio.current_task())
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE)
        pieces = copy(reader, there_writer, RATE, []), copy(there_reader, writer, 0, came_in)
        await asyncio.gather(*pieces, return_exceptions=True)

    return await asyncio.start_server(serve, "127.0.0.1", 0, limit=PIECE)


async def send_by_asyncssh(port, keepalives):
    host = {"host": "127.0.0.1", "port": port, "username": "a", "known_hosts": None, "config": None, "client_keys": None}
    try:
        async with asyncssh.connect(**host, **keepalives) as connection, connection.start_sftp_client() as client:
            await client.put(str(FOLDER / "body"), str(FOLDER / "copy"))
    except (asyncssh.Error, OSError) as error:
        return type(error).__name__
    return "whole"


async def send_by_openssh(port):
    options = ["StrictHostKeyChecking=no", f"UserKnownHostsFile={FOLDER}/known", "ServerAliveInterval=1", "ServerAliveCountMax=5"]
    command = ["sftp", "-q", "-F", "none", "-P", str(port), *[part for option in options for part in ("-o", option)], "a@127.0.0.1"]
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL)
    await process.communicate(f"put {FOLDER}/body {FOLDER}/copy\n".encode())
    return "whole" if process.returncode == 0 else "broken off"


async def main():
    key = asyncssh.read_private_key(str(FOLDER / "key"))
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key], sftp_factory=asyncssh.SFTPServer)
    cases = (
        ("asyncssh with keepalives", lambda port: send_by_asyncssh(port, {"keepalive_interval": 1, "keepalive_count_max": 5}), "ConnectionLost"),
        ("OpenSSH with keepalives", send_by_openssh, "whole"),
        ("asyncssh without them", lambda port: send_by_asyncssh(port, {}), "whole"),
    )
    changed = 0
    for name, send, expected in cases:
        came_in = []
        between = await line(server.get_port(), came_in)
        began = time.monotonic()
        seen = await send(between.sockets[0].getsockname()[1])
        if seen == "whole" and (FOLDER / "copy").read_bytes() != (FOLDER / "body").read_bytes():
            seen = "not whole"
        seconds = time.monotonic() - began
        silence = max(late - early for early, late in zip(came_in, came_in[1:]))
        is_recorded = seen == expected and (seen == "whole" or silence < 5)
        changed += not is_recorded
        word = "as recorded" if is_recorded else "CHANGED"
        print(f"{word} {name}: {seen} after {seconds:.0f} s, longest silence of the server {silence:.1f} s")
        between.close()
        await asyncio.wait(CONNECTIONS)
    sys.exit(1 if changed else 0)


asyncio.run(main())
PYTHON
