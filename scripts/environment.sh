#!/bin/sh
# Make or refresh a virtual environment of this clone: scripts/environment.sh core|test|docs|oracle|release
#
#   core    .venv: what `tallac` needs, and the package itself, from src
#   test    .venv: what the tests and checks need as well
#   docs    .docs-venv: what builds the site
#   release .release-venv: what builds wheel, binary and bill of materials
#   oracle  .tahoe-venv: Tahoe-LAFS, which tests ask what it makes of a cap; needs Python 3.11 or 3.12
#
# Where there is a C compiler, what gains time by it is compiled for .venv: scripts/compile.sh.
#
# Installs pinned, hashed requirements only. Silent when nothing has changed since the last time, and then it touches no network.
# $PYTHON overrides which Python makes the environment.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "tallac: $1" >&2
    exit 1
}

kind="${1:-}"
venv=.venv
candidates="${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}"
version_test='sys.version_info >= (3, 11)'
needed='Python 3.11 or later'
case "$kind" in
core) locks="requirements/lock.txt requirements/build.txt" ;;
test) locks="requirements/test.txt requirements/build.txt" ;;
docs)
    locks="requirements/docs.txt"
    venv=.docs-venv
    ;;
release)
    locks="requirements/release.txt"
    venv=.release-venv
    ;;
oracle)
    locks="requirements/oracle.txt"
    venv=.tahoe-venv
    candidates="${PYTHON:-} python3.11 python3.12 python3"
    version_test='(3, 11) <= sys.version_info < (3, 13)'
    needed='Python 3.11 or 3.12'
    ;;
*)
    echo "usage: scripts/environment.sh core|test|docs|oracle|release" >&2
    exit 2
    ;;
esac
stamp="$venv/tallac-$kind.stamp"

# What the environment holds follows from this alone. The package is installed by reference: a moved clone needs it anew.
# shellcheck disable=SC2086 # The list is meant to split.
wanted="$(pwd) $(cat $locks pyproject.toml src/tallac/__init__.py | cksum)"

works() {
    "$venv/bin/python" -c 'import pip' >/dev/null 2>&1
}

# Versioned names may be shims that exist and fail, so each candidate is run, not only found.
find_python() {
    for candidate in $candidates; do
        if "$candidate" -c "import sys; sys.exit(not ($version_test))" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
}

create() {
    python="$(find_python)"
    [ -n "$python" ] || fail "$needed is needed and none was found (Debian and Ubuntu: apt install python3 python3-venv)"
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python lacks venv or ensurepip (Debian and Ubuntu: apt install python3-venv)"
    echo "tallac: making $venv with $("$python" --version)" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv" || fail "$python could not make $venv in $(pwd): is the folder writable, and is there space?"
}

# pip's output is only worth reading when it fails.
install() {
    log="$venv/tallac-install.log"
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input "$@" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        fail "installing into $venv failed, as the lines above say; run the same command again once that is mended"
    fi
}

case "$kind" in
core | test) scripts/compile.sh ;;
esac
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && works; then
    exit 0
fi
works || create
echo "tallac: installing pinned dependencies ($kind)" >&2
rm -f "$stamp"
set --
for lock in $locks; do
    set -- "$@" --requirement "$lock"
done
install --require-hashes "$@"
case "$kind" in
core | test) install --no-deps --no-index --no-build-isolation --editable . ;;
esac
printf '%s\n' "$wanted" >"$stamp"
