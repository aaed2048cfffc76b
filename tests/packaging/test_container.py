"""The image that packaging/Containerfile describes: its steps are carried out one by one in a clean root.

No image can be fetched here, so a copy-on-write view of this machine's Debian stands in for the base image, without anything that
was put there by hand: no /usr/local, /opt, /home, /root or /work, and with an environment of its own.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.packaging.conftest import PATH, PATIENCE_SECONDS, ROOT, lacks

from tallac import __version__

pytestmark = pytest.mark.slow

CONTAINERFILE = ROOT / "packaging" / "Containerfile"

HIDDEN = ("tmp", "home", "root", "work", "opt", "usr/local", "srv", "mnt")

# How this machine reaches its package index is no matter of the image's.
NETWORK = {key: value for key, value in os.environ.items() if key.startswith(("PIP_CERT", "SSL_CERT", "PIP_INDEX", "HTTPS_PROXY"))}

BASE = """
set -eu
mount -t tmpfs tmpfs "$1"
cd "$1"
new_root() {
    mkdir "$1" "$1.upper" "$1.work"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/$1.upper,workdir=$PWD/$1.work" "$1"
    for folder in HIDDEN; do
        [ -d "$1/$folder" ] || continue
        mount -t tmpfs tmpfs "$1/$folder"
    done
    mkdir -p "$1/usr/local/bin"
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    cp /etc/resolv.conf "$1/tmp/resolv.conf"
    [ -s "$1/etc/resolv.conf" ] || cp "$1/tmp/resolv.conf" "$1/etc/resolv.conf"
}
"""


class Step(NamedTuple):
    """One instruction."""

    word: str
    rest: str


def steps() -> list[Step]:
    """Read the file."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [Step(*line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def script_of(instructions: list[Step], after: str) -> str:
    """Return a shell script that carries the instructions out, and then runs something in the last root, as its user would."""
    lines = [BASE.replace("HIDDEN", " ".join(HIDDEN))]
    root, folder, user = "", "/", "root"
    stages: dict[str, str] = {}
    environment = {"PATH": PATH}
    for word, rest in instructions:
        match word:
            case "FROM":
                root = f"stage{len(stages)}"
                stages[rest.partition(" AS ")[2] or root] = root
                environment, folder, user = {"PATH": PATH}, "/", "root"
                lines.append(f"new_root {root}")
            case "RUN":
                lines.append(in_root(root, folder, user, {**NETWORK, **environment}, ["/bin/sh", "-c", rest]))
            case "COPY":
                lines.append(copy_into(root, folder, rest, stages))
            case "ENV":
                environment |= dict(each.split("=", 1) for each in shlex.split(rest))
            case "WORKDIR":
                folder = rest
                lines.append(f"mkdir -p {root}{folder}")
            case "USER":
                user = rest
            case "VOLUME" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
                pass
            case _:
                raise AssertionError(f"this test does not know {word}")
    lines.append(in_root(root, folder, user, environment, ["/bin/sh", "-euc", after]))
    return "\n".join(lines)


def in_root(root: str, folder: str, user: str, environment: dict[str, str], command: list[str]) -> str:
    """Return a line that runs a command in a root."""
    variables = [f"{key}={value}" for key, value in environment.items()]
    changed = ["chroot", f"--userspec={user}:{user}", root, "/bin/sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
    return shlex.join(["env", "-i", *variables, *changed])


def copy_into(root: str, folder: str, rest: str, stages: dict[str, str]) -> str:
    """Return a line that copies as COPY does: a folder's content goes into the folder that is named."""
    words = rest.split()
    origin = str(ROOT)
    if words[0].startswith("--from="):
        origin = stages[words.pop(0).partition("=")[2]]
    *sources, to = words
    to = to if to.startswith("/") else f"{folder}/{to}"
    lines = [f"mkdir -p {root}{to if to.endswith('/') or len(sources) > 1 else os.path.dirname(to)}"]
    for source in sources:
        is_folder = (ROOT / source).is_dir() or source.startswith("/opt/")
        place = f"{origin}/{source.lstrip('/')}"
        lines.append(f"mkdir -p {root}{to} && cp -r {place}/. {root}{to}" if is_folder else f"cp -p {place} {root}{to}")
    return " && ".join(lines)


def build(folder: Path, after: str) -> str:
    """Build the image, and return what a command in it has printed."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or not Path("/etc/debian_version").exists():
        lacks("this takes root on a Debian system")
    script = script_of(steps(), after)
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "--fork", "/bin/sh", "-c", script, "sh", str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


AFTER = """
echo "version: $(tallac --version)"
echo "user: $(id -u)"
touch /opt/tallac/x 2>/dev/null && echo "it can change itself"
mkdir /data/source && echo content >/data/source/file
tallac --quiet backup /data/source
echo "host: $(tallac snapshots --json tallac: | sed 's/.*"host":"\\([^"]*\\)".*/\\1/')"
tallac --quiet restore tallac:Latest /data/restored
echo "restored: $(cat /data/restored/file)"
mkdir -p /data/config
printf '[job.docs]\\nsources = ["/data/source"]\\ntarget = "tallac:docs"\\nevery = "day"\\n' >/data/config/jobs.toml
chmod 600 /data/config/jobs.toml
tallac-run-jobs --quiet &
loop=$!
until tallac --quiet snapshots tallac:docs >/dev/null 2>&1; do sleep 0.2; done
kill -TERM "$loop"
status=0
wait "$loop" || status=$?
echo "loop ended: $status"
echo "healthy: $(tallac --quiet status && echo yes)"
echo "run for: $(tallac snapshots --json tallac:docs | sed 's/.*"host":"\\([^"]*\\)".*/\\1/')"
echo "modules: $(ls /opt/tallac/lib/python3*/site-packages | grep -c '^apprise$')"
"""


def test_the_image(tmp_path: Path) -> None:
    """It builds; as its own user, under its own host name, it backs up and restores, runs what is due, and is healthy."""
    said = dict(line.split(": ", 1) for line in build(tmp_path, AFTER).splitlines() if ": " in line)
    assert said["version"] == f"tallac {__version__}"
    assert said["user"] == "10001"
    assert "it can change itself" not in said
    assert said["host"] == "container"
    assert said["restored"] == "content"
    assert said["modules"] == "1"
    assert (said["loop ended"], said["healthy"], said["run for"]) == ("0", "yes", "container")


def test_it_is_not_root() -> None:
    """The user is set after the last step that takes root, and what the image runs is in it."""
    words = [step.word for step in steps()]
    assert "RUN" not in words[words.index("USER") :]
    instructions = {step.word: step.rest for step in steps()}
    assert json.loads(instructions["ENTRYPOINT"]) == ["/usr/bin/tini", "--"]
    assert json.loads(instructions["CMD"]) == ["tallac-run-jobs"]
    assert json.loads(instructions["HEALTHCHECK"].partition("CMD ")[2]) == ["tallac", "--quiet", "status"]
