#!/usr/bin/env bash
# pip 23.2.1, which Python 3.11.7 brings: a lock with hashes stops to install on the day on which a new version of one of its
# packages is released, where another package wants that one with an extra and the lock does not name the extra.
#
# `uv pip compile --generate-hashes` writes locks without extras unless it is told --no-strip-extras. Every version and hash in such
# a lock is right, and what the extra needs is in it too.
#
# Seen with pytest-cov 5.0.0, which wants coverage[toml]>=5.2.1, and all six packages pinned with their hashes, coverage at 7.6.0:
#
#   lock says                      pip 23.2.1                                               pip 23.3.2
#   coverage==7.6.0                ERROR: all requirements must have their versions         installs
#                                  pinned, and names the newest coverage there is
#   coverage[toml]==7.6.0          installs                                                 installs
#
# Consequences for Tallac: its locks name extras, and a test compares them with what the installed packages want; `make oracle`
# failed on fresh machines from the day on which a new autobahn came out. Fails when any of this changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
unset PYTHONPATH PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK=1
python=
for candidate in python3.11 python3.10 python3; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 8) <= sys.version_info < (3, 12))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || { echo 'needs Python 3.8 to 3.11, which pip 23.2.1 runs on' >&2; exit 2; }
for pip in 23.2.1 23.3.2; do
    "$python" -m venv "pip-$pip"
    "pip-$pip/bin/python" -m pip --quiet install "pip==$pip" 2>/dev/null
done
pip-23.3.2/bin/pip --quiet download --no-deps --dest wheels \
    pytest-cov==5.0.0 coverage==7.6.0 pytest==8.3.0 pluggy==1.5.0 iniconfig==2.0.0 packaging==24.1 2>/dev/null
for wheel in wheels/*.whl; do
    name=$(basename "$wheel")
    version=${name#*-}
    echo "${name%%-*}==${version%%-*} --hash=sha256:$("$python" -c 'import hashlib, sys
print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$wheel")"
done >without.txt
sed 's/^coverage==/coverage[toml]==/' without.txt >with.txt
failed=0
for lock in without with; do
    for pip in 23.2.1 23.3.2; do
        status=0
        "pip-$pip/bin/pip" --quiet install --dry-run --require-hashes --requirement $lock.txt >said 2>&1 || status=$?
        echo "pip $pip, a lock $lock extras: $([ $status = 0 ] && echo installs || grep -o 'In --require-hashes mode.*' said)"
        case $lock-$pip in
        without-23.2.1)
            { [ $status != 0 ] && grep -q 'coverage\[toml\].* from .*coverage-' said; } || failed=1
            ! grep -q 'coverage-7\.6\.0-' said || failed=1
            ;;
        *) [ $status = 0 ] || failed=1 ;;
        esac
    done
done
[ $failed = 0 ] || { echo 'this has changed' >&2; exit 1; }
