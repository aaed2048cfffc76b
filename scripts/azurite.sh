#!/bin/sh
# Install Azurite, Azure's emulator of its blob store, into .azurite, as tests/stores/azurite/package-lock.json pins it. Silent when it is there.
# Without npm it says so and goes on: the tests that need it skip themselves and say so.
set -eu
cd "$(dirname "$0")/.."

wanted="$(cat tests/stores/azurite/package-lock.json | cksum)"
if [ -f .azurite/tallac.stamp ] && [ "$(cat .azurite/tallac.stamp)" = "$wanted" ]; then
    exit 0
fi
if ! command -v npm >/dev/null 2>&1 || ! command -v node >/dev/null 2>&1; then
    echo "tests: without node and npm, and so without Azurite, some tests are skipped" >&2
    exit 0
fi
echo "tests: installing Azurite" >&2
mkdir -p .azurite
cp tests/stores/azurite/package.json tests/stores/azurite/package-lock.json .azurite/
log=.azurite/install.log
if ! npm ci --prefix .azurite --no-fund --no-audit --ignore-scripts </dev/null >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "tests: could not install Azurite; some tests are skipped" >&2
    exit 0
fi
printf '%s\n' "$wanted" >.azurite/tallac.stamp
