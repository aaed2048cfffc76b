#!/bin/sh
# Write requirements/*.txt anew from pyproject.toml: exact versions, hashes for all platforms, no address of any index.
# It needs `uv` on PATH. Run it after changing a dependency; with --upgrade to take newer versions of everything.
set -eu
cd "$(dirname "$0")/.."

compile() {
    out="requirements/$1.txt"
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links \
        --no-config --custom-compile-command "scripts/lock.sh" "$@" --output-file "$out"
}

case "${1-}" in
'') set -- ;;
--upgrade) set -- --upgrade ;;
*) echo "usage: scripts/lock.sh [--upgrade]" >&2; exit 2 ;;
esac

compile lock "$@" pyproject.toml
compile build "$@" --group build --constraint requirements/lock.txt
compile test "$@" pyproject.toml --all-extras --group test --group check --constraint requirements/lock.txt
compile oracle "$@" --group oracle
compile docs "$@" --group docs
compile container "$@" pyproject.toml --all-extras --constraint requirements/lock.txt
compile release "$@" pyproject.toml --group release --group build --constraint requirements/lock.txt
