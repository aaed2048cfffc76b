#!/bin/sh
# Make or refresh the virtual environment .venv of this clone: `scripts/environment.sh core` or `scripts/environment.sh test`.
#
# Installs the pinned, hashed requirements and the package itself from src. Silent unless it works, and then one line; touches no
# network when nothing has changed since the last time. `$PYTHON` overrides which Python makes the environment.
set -eu
cd "$(dirname "$0")/.."

kind="${1:-core}"
case "$kind" in
core) locks="requirements/lock.txt requirements/build.txt" ;;
test) locks="requirements/test.txt requirements/build.txt" ;;
*) echo "usage: scripts/environment.sh core|test" >&2; exit 2 ;;
esac
stamp=".venv/tallac-$kind.stamp"
log=".venv/tallac-install.log"

fail() {
    echo "tallac: $1" >&2
    exit 1
}

# Versioned names may be shims that exist and fail, so each candidate is run, not only found.
find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}

# pip's output is only worth reading when it fails.
quietly() {
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        fail "installing failed; the lines above say why. With a network connection, run the same command again."
    fi
}

# What the environment holds follows from these files alone.
# shellcheck disable=SC2086 # The list is meant to split.
wanted="$(pwd) $(cat $locks pyproject.toml src/tallac/__init__.py | cksum)"

works() {
    .venv/bin/python -c 'import pip' >/dev/null 2>&1
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && works; then
    exit 0
fi

if ! works; then
    python="$(find_python)"
    [ -n "$python" ] || fail "Python 3.11 or later is needed and none was found (Debian and Ubuntu: apt install python3 python3-venv)."
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python lacks venv or ensurepip (Debian and Ubuntu: apt install python3-venv)."
    echo "tallac: making .venv with $("$python" --version)" >&2
    rm -rf .venv
    "$python" -m venv .venv || fail "$python could not make .venv here; is $(pwd) writable, and is there space?"
fi

echo "tallac: installing pinned dependencies ($kind)" >&2
rm -f "$stamp"
set --
for lock in $locks; do
    set -- "$@" --requirement "$lock"
done
quietly .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes "$@"
quietly .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-index --no-build-isolation \
    --editable .
printf '%s\n' "$wanted" >"$stamp"
