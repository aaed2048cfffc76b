#!/bin/sh
# Back up $FROM (to $TO, else the default target), then say how to look at it and how to get a file back. Called by `make backup`.
set -eu
tallac="$(dirname "$0")/../.venv/bin/tallac"
tallac="$(cd "$(dirname "$tallac")" && pwd)/tallac"
target="${TO:-tallac:}"

# make does not expand a tilde that follows the equals sign in every shell; a person means the home folder by it.
case "$FROM" in
'~') FROM="$HOME" ;;
'~/'*) FROM="$HOME/${FROM#'~/'}" ;;
esac

status=0
if [ -n "${TO:-}" ]; then
    "$tallac" backup -- "$FROM" "$TO" || status=$?
else
    "$tallac" backup -- "$FROM" || status=$?
fi
# 3: the snapshot is made, but something could not be read and has been named.
[ "$status" = 0 ] || [ "$status" = 3 ] || exit "$status"

case "$target" in
*:) latest="${target}Latest" ;;
*) latest="$target/Latest" ;;
esac
cat <<TEXT

Look:      $tallac snapshots $target
           $tallac ls $latest
Get back:  $tallac restore $latest FOLDER        everything, into a new or empty FOLDER
           $tallac get $latest/PATH FILE         one file
Keep safe: a copy of the configuration folder; without it nobody can read the vault (README.md, "When the disk is gone")
TEXT
exit "$status"
