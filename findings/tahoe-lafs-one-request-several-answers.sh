#!/usr/bin/env bash
# tahoe-lafs 1.20.0: for one and the same request, what a node's web API answers depends on the kind of the cap.
#
# Seen on one node that is introducer's only client, storage server and gateway (1-of-1), Python 3.11:
#
#   request                                          immutable file (CHK)             mutable file (SSK)
#   GET /uri/VERIFYCAP?t=json                        500, an error page               200 ["unknown", {}]
#   POST /uri?t=upload&when_done=/done               redirect to /done                200, the bare cap: when_done is ignored
#   GET /uri/CAP%0A (a line break after the cap)     200, the content                 200, the content
#   POST /uri/DIRCAP?t=stream-manifest               JSON lines, served as text/html
#
# Consequences for Tallac: `tallac serve` answers these as a node does where clients rely on it, and takes a cap with a line break
# behind it for the cap, since `tahoe put` sends back what it printed. Fails when any of this changes.
set -euo pipefail
folder=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap finish EXIT
python=
for candidate in python3.11 python3.12 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || { echo 'needs Python 3.11 or 3.12' >&2; exit 2; }
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install tahoe-lafs==1.20.0 setuptools==80.9.0
unset PYTHONPATH PYTHONDONTWRITEBYTECODE
export HOME="$folder" LC_ALL=C.UTF-8
tahoe=$folder/venv/bin/tahoe
free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
run_until() { # FILE COMMAND...: start a node, and wait for the file that it writes when it is ready
    local file=$1; shift
    "$@" >>"$folder/log" 2>&1 &
    pids+=($!)
    for _ in $(seq 300); do [ -s "$file" ] && return; sleep 0.2; done
    cat "$folder/log" >&2; exit 2
}
port=$(free_port)
"$tahoe" create-introducer --listen=tcp --port="tcp:$port:interface=127.0.0.1" --location="tcp:127.0.0.1:$port" "$folder/introducer" >/dev/null
run_until "$folder/introducer/private/introducer.furl" "$tahoe" run --allow-stdin-close "$folder/introducer"
port=$(free_port)
"$tahoe" create-node --introducer="$(cat "$folder/introducer/private/introducer.furl")" --listen=tcp --port="tcp:$port:interface=127.0.0.1" \
    --location="tcp:127.0.0.1:$port" --webport="tcp:$(free_port):interface=127.0.0.1" --shares-needed=1 --shares-happy=1 --shares-total=1 \
    "$folder/node" >/dev/null
run_until "$folder/node/node.url" "$tahoe" run --allow-stdin-close "$folder/node"
"$folder/venv/bin/python" - "$folder/node/node.url" <<'PYTHON'
import http.client
import json
import sys
import time
from importlib.metadata import version
from urllib.parse import quote, urlsplit

print("tahoe-lafs", version("tahoe-lafs"), "Python", sys.version.split()[0])
place = urlsplit(open(sys.argv[1]).read().strip())


def ask(method, path, body=b"", headers=None):
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def form(name, content):
    text = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'.encode() + content + b"\r\n--x--\r\n"
    return text, {"Content-Type": "multipart/form-data; boundary=x"}


CONTENT = b"some content, longer than a literal cap holds: " * 4
for _ in range(300):  # The node needs a moment to listen, and to find its own storage.
    try:
        status, _, chk = ask("PUT", "/uri", CONTENT)
    except ConnectionRefusedError:
        status = 0
    if status in (200, 201):
        break
    time.sleep(0.2)
ssk = ask("PUT", "/uri?format=sdmf", CONTENT)[2]
chk, ssk = chk.decode().strip(), ssk.decode().strip()
directory = ask("POST", "/uri?t=mkdir")[2].decode().strip()


def verify_cap(cap):
    return json.loads(ask("GET", f"/uri/{quote(cap, safe='')}?t=json")[2])[1]["verify_uri"]


def path(cap):
    return "/uri/" + quote(cap, safe="")


upload = "/uri?t=upload&when_done=%2Fdone"
seen = {
    "verify cap, CHK": ask("GET", path(verify_cap(chk)) + "?t=json")[0],
    "verify cap, SSK": (lambda answer: (answer[0], json.loads(answer[2])))(ask("GET", path(verify_cap(ssk)) + "?t=json")),
    "when_done, CHK": (lambda answer: (answer[0] // 100, urlsplit(answer[1]["Location"] or "").path))(ask("POST", upload, *form("file", CONTENT))),
    "when_done, SSK": (lambda answer: (answer[0], answer[1]["Location"], answer[2][:8]))(ask("POST", upload + "&format=sdmf", *form("file", CONTENT))),
    "line break, CHK": ask("GET", path(chk) + "%0A")[::2] == (200, CONTENT),
    "line break, SSK": ask("GET", path(ssk) + "%0A")[::2] == (200, CONTENT),
    "stream-manifest": ask("POST", path(directory) + "?t=stream-manifest")[1].get_content_type(),
}
EXPECTED = {
    "verify cap, CHK": 500,
    "verify cap, SSK": (200, ["unknown", {}]),
    "when_done, CHK": (3, "/done"),
    "when_done, SSK": (200, None, b"URI:SSK:"),
    "line break, CHK": True,
    "line break, SSK": True,
    "stream-manifest": "text/html",
}
for name, value in seen.items():
    print("as recorded" if value == EXPECTED[name] else "CHANGED", name, value)
sys.exit(seen != EXPECTED)
PYTHON
