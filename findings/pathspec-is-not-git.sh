#!/usr/bin/env bash
# pathspec 1.1.1: GitIgnoreSpec takes nine kinds of valid .gitignore lines otherwise than git does.
#
# The class is there to replicate git's behaviour. Seen with pathspec 1.1.1 on Python 3.11 beside git 2.39.5, the
# files that each keeps after one line (git decides by `git ls-files --others --exclude-standard`):
#
#   line             files                 git keeps        GitIgnoreSpec keeps
#   foo<TAB>         foo, foo<TAB>         foo              foo<TAB>      (git strips spaces alone from the end of a line)
#   foo<NBSP>        foo, foo<NBSP>        foo              foo<NBSP>
#   a/<U+2028>       a/x, a/<U+2028>       a/x              nothing       (the line became "a/")
#   [x\]             x, \, [x], [x\]       all of them      [x], [x\]     (an open bracket matches nothing in git)
#   [a\-c]           a, b, c, -, \         b, \             -             (an escaped dash is a dash in git)
#   FO[!/]           FOO, FO/x             FO/x             FO/x, FOO     (the class holds every letter)
#   [[:alpha:]]      a, 1                  1                1, a          (POSIX classes are not known)
#   a\/b             a/b                   nothing          GitIgnorePatternError
#   dir/ !dir/keep   dir/keep, dir/x       nothing          dir/keep      (nothing below an excluded directory comes back)
#
# Consequence for Tallac: patterns are matched by src/tallac/source/patterns.py, with git as the oracle in tests/properties.
# Fails when any of this changes.
set -euo pipefail
command -v git >/dev/null || { echo 'needs git' >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet --disable-pip-version-check install pathspec==1.1.1
export HOME="$folder" GIT_CONFIG_NOSYSTEM=1
git --version
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from pathspec import GitIgnoreSpec

print("pathspec", version("pathspec"), "Python", sys.version.split()[0])


def kept_by_git(lines, paths):
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as tree:
        subprocess.run(["git", "init", "-q", tree], check=True)
        for path in paths:
            file = Path(tree, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        Path(tree, ".git/info/exclude").write_bytes("".join(line + "\n" for line in lines).encode())
        command = ["git", "-C", tree, "ls-files", "--others", "-z", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=True).stdout
        return sorted(name.decode() for name in listed.split(b"\0") if name)


def kept_by_pathspec(lines, paths):
    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        return type(error).__name__
    return sorted(path for path in paths if not spec.match_file(path))


EXPECTED = [
    (["foo\t"], ["foo", "foo\t"], ["foo"], ["foo\t"]),
    (["foo\u00a0"], ["foo", "foo\u00a0"], ["foo"], ["foo\u00a0"]),
    (["a/\u2028"], ["a/x", "a/\u2028"], ["a/x"], []),
    (["[x\\]"], ["x", "\\", "[x]", "[x\\]"], ["[x\\]", "[x]", "\\", "x"], ["[x\\]", "[x]"]),
    (["[a\\-c]"], ["a", "b", "c", "-", "\\"], ["\\", "b"], ["-"]),
    (["FO[!/]"], ["FOO", "FO/x"], ["FO/x"], ["FO/x", "FOO"]),
    (["[[:alpha:]]"], ["a", "1"], ["1"], ["1", "a"]),
    (["a\\/b"], ["a/b"], [], "GitIgnorePatternError"),
    (["dir/", "!dir/keep"], ["dir/keep", "dir/x"], [], ["dir/keep"]),
]
changed = 0
for lines, paths, git, library in EXPECTED:
    seen = kept_by_git(lines, paths), kept_by_pathspec(lines, paths)
    changed += seen != (git, library)
    print("as recorded" if seen == (git, library) else "CHANGED", lines, "git keeps", seen[0], "GitIgnoreSpec keeps", seen[1])
sys.exit(1 if changed else 0)
PYTHON
