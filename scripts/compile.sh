#!/bin/sh
# Compile what gains time by being compiled, src/tallac/native, where there is a C compiler: scripts/compile.sh [FOLDER]
#
# Into src/tallac/native, or another folder. Where there is no compiler, or it can't do it, or nothing can be written there, everything is
# done in Python, and nothing is said; with TALLAC_NATIVE=0 in the environment what was compiled is removed, and not used where it can't be.
# Does nothing where the library is newer than its sources. $CC is the compiler.
set -eu
cd "$(dirname "$0")/.."
sources=src/tallac/native
library="${1:-$sources}/libtallac.so.1"

[ "$(uname -s)" = Linux ] || exit 0
if [ "${TALLAC_NATIVE:-}" = 0 ]; then
    rm -f "$library" 2>/dev/null || :
    exit 0
fi
command -v "${CC:-cc}" >/dev/null 2>&1 || exit 0
if [ -f "$library" ]; then
    newest="$(ls -t "$library" "$sources"/*.c "$sources"/*.h | head -n 1)"
    [ "$newest" != "$library" ] || exit 0
fi
# Put into its place as a whole: another process may be loading it.
new="$(mktemp "$library.XXXXXX" 2>/dev/null)" || exit 0
trap 'rm -f "$new"' EXIT
trap 'exit 1' HUP INT TERM
if "${CC:-cc}" -std=c11 -O2 -Wall -Wextra -fPIC -shared -fstack-protector-strong -D_FORTIFY_SOURCE=2 -Wl,-z,relro,-z,now \
    -o "$new" "$sources"/*.c >/dev/null 2>&1; then
    chmod 755 "$new"
    mv -f "$new" "$library"
fi
