#!/usr/bin/env bash
# obstore 0.12.1 on Linux: a put ends after 30 seconds, whatever time-out is set, where the server takes the body in small bites.
#
# strace shows that TCP_USER_TIMEOUT is set to 30 s on its connections; none of ClientConfig's options is named for that. It takes effect
# although bytes go all the while, most likely since the window of such a server is smaller than one segment of loopback. Seen with
# obstore 0.12.1 on Python 3.11 and Linux 6.18, a body of 4 MiB to a server that takes 64 KiB a second, timeout an hour, no retries:
#
#   the server's receive buffer      obstore.put                                            http.client
#   16 KiB                           an error after 30 s, with 2 MB of the body taken       whole after 64 s
#   64 KiB                           whole after 64 s
#
# Relays and small appliances have such buffers; a slow line before a usual server does not meet it.
#
# Consequence for Tallac: docs/decisions/049-silence-and-claims.md. Our own limit is on silence, and a put that ends so is sent again.
# Fails when this changes.
set -euo pipefail
[ "$(uname)" = Linux ] || { echo 'needs Linux' >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install obstore==0.12.1
export HOME="$folder"
uname -sr
"$folder/venv/bin/python" - <<'PYTHON'
import http.client
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib.metadata import version

import obstore
from obstore.store import S3Store

RATE = 64 << 10
BITE = 4 << 10
BODY = bytes(4 << 20)
ANSWER = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'

print("obstore", version("obstore"), "Python", sys.version.split()[0])


def slow_server(buffer_size):
    """Listen, and take one body at a rate; return the port, and a list whose item says how much was taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    taken = [0]

    def take():
        connection, _ = listener.accept()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        ready = time.monotonic()
        try:
            while taken[0] < len(BODY) and (bite := connection.recv(BITE)):
                taken[0] += len(bite)
                ready += len(bite) / RATE
                time.sleep(max(0, ready - time.monotonic()))
            connection.sendall(ANSWER)
        except OSError:
            connection.close()

    threading.Thread(target=take, daemon=True).start()
    return listener.getsockname()[1], taken


def by_obstore(port):
    options = {"allow_http": True, "timeout": timedelta(hours=1)}
    retries = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}
    keys = {"access_key_id": "a", "secret_access_key": "b", "region": "x", "virtual_hosted_style_request": False}
    store = S3Store("b", endpoint=f"http://127.0.0.1:{port}", client_options=options, retry_config=retries, **keys)
    try:
        obstore.put(store, "k", BODY, use_multipart=False)
    except obstore.exceptions.GenericError:
        return "error"
    return "whole"


def by_http_client(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("PUT", "/b/k", BODY)
    return "whole" if connection.getresponse().status == 200 else "error"


def case(name, send, buffer_size, expected):
    port, taken = slow_server(buffer_size)
    began = time.monotonic()
    seen = send(port)
    seconds = time.monotonic() - began
    is_recorded = seen == expected and (seen == "whole" or (25 < seconds < 45 and taken[0] > RATE * 20))
    word = "as recorded" if is_recorded else "CHANGED"
    print(f"{word} {name}, buffer of {buffer_size >> 10} KiB: {seen} after {seconds:.0f} s, {taken[0]:,} bytes were taken", flush=True)
    return is_recorded


cases = (
    ("obstore", by_obstore, 16 << 10, "error"),
    ("http.client", by_http_client, 16 << 10, "whole"),
    ("obstore", by_obstore, 64 << 10, "whole"),
)
with ThreadPoolExecutor(len(cases)) as pool:
    results = list(pool.map(lambda each: case(*each), cases))
sys.exit(0 if all(results) else 1)
PYTHON
