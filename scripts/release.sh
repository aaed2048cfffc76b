#!/bin/sh
# Build what is handed out, into a folder: scripts/release.sh wheel|binary|sbom [FOLDER]      (default: dist)
#
#   wheel   the source distribution, and the wheel that is made of it, which fits every system; where there is a C compiler, also one
#           with what is compiled, for this system and its processor
#   binary  a program in one file, which needs no Python where it runs; for this system and its processor
#   sbom    the bill of materials, as CycloneDX, from requirements/lock.txt
#
# `make release-setup` installs what it takes into .release-venv.
set -eu
cd "$(dirname "$0")/.."

usage() {
    echo "usage: scripts/release.sh wheel|binary|sbom [FOLDER]" >&2
    exit 2
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
folder="${2:-dist}"
bin=.release-venv/bin
[ -x "$bin/python" ] || { echo "tallac: no release tools; run make release-setup" >&2; exit 1; }
mkdir -p "$folder"

case "$1" in
wheel)
    TALLAC_NATIVE=0 "$bin/python" -m build --no-isolation --outdir "$folder" .
    if command -v "${CC:-cc}" >/dev/null 2>&1; then
        "$bin/python" -m build --no-isolation --wheel --outdir "$folder" .
    fi
    ;;
sbom) "$bin/python" scripts/sbom.py "$folder" ;;
binary)
    work="$(mktemp -d)"
    trap 'rm -rf "$work"' EXIT
    scripts/compile.sh "$work"
    set --
    [ ! -f "$work/libtallac.so.1" ] || set -- --add-binary "$work/libtallac.so.1:tallac/native"
    # Commands are imported by their names, keyrings by their entry points, and the chunker's fast half by its slow one. What is
    # left out is for tests.
    PYTHONPATH=src "$bin/pyinstaller" "$@" --noconfirm --log-level WARN --onefile --strip --name tallac \
        --paths src --collect-submodules tallac --exclude-module tallac.testing \
        --collect-all pyfastcdc --collect-submodules keyring.backends --copy-metadata keyring \
        --workpath "$work/build" --specpath "$work" --distpath "$work/dist" packaging/binary.py
    system="$(uname -s | tr '[:upper:]' '[:lower:]')"
    mv "$work/dist/tallac" "$folder/tallac-$system-$(uname -m)"
    ;;
*) usage ;;
esac
