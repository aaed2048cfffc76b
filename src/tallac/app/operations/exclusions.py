"""Which files a backup leaves out: the options, and the selection that is made of them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from tallac.errors import PatternError, UsageError
from tallac.source import CACHE_MARKER, IGNORE_FILE, VERSION_CONTROL_NAMES, MarkerFile, Patterns, Selection

# Of rsync and Borg: `- PATTERN`, `+ PATTERN`; of Borg `sh:PATTERN` and the like, of Mercurial `glob:PATTERN`.
_FOREIGN = re.compile(r"(?:[-+] |(?:re|sh|pp|pf|fm|glob|regexp|relglob|syntax|include):)(.*)", re.DOTALL)
_HOME = re.compile(r"(!?)(?:~|\$HOME|\$\{HOME\})/")

PATTERN_FILE_SIZE_MAX = 64 << 20


class Exclusions(msgspec.Struct, frozen=True, kw_only=True):
    """Which files to leave out. By default only those that `.tallacignore` files name.

    The last pattern that matches decides. They stand in this order: `exclude_vcs`, `exclude_from`, `iexclude`, `exclude`.

    Attributes:
        exclude, iexclude: Patterns as in a `.gitignore` file; the latter ignore case.
        exclude_from: Files of such patterns, one a line; `-` is standard input.
        exclude_vcs: Leave out the files of version control systems: .git, .svn, CVS and the like.
        exclude_caches: Leave out the content of directories with a valid CACHEDIR.TAG file, but keep that file.
        exclude_if_present: `NAME` or `NAME:HEADER`: leave out the content of directories that hold such a file, but keep that file.
        exclude_larger_than: Leave out larger files, in bytes.
        one_file_system: Leave out other file systems that are mounted below a source.
        ignore_files: Whether `.tallacignore` files are obeyed.
    """

    exclude: Sequence[str] = ()
    iexclude: Sequence[str] = ()
    exclude_from: Sequence[str] = ()
    exclude_vcs: bool = False
    exclude_caches: bool = False
    exclude_if_present: Sequence[str] = ()
    exclude_larger_than: int | None = None
    one_file_system: bool = False
    ignore_files: bool = True

    def selection(self, standard_input: BinaryIO | None = None) -> Selection:
        """Read the patterns, and return the selection.

        Raises:
            UsageError: A pattern or a marker makes no sense, or a file of patterns can't be read.
        """
        patterns = Patterns.of(VERSION_CONTROL_NAMES if self.exclude_vcs else ())
        for file in self.exclude_from:
            patterns += _patterns_of_file(file, standard_input)
        ignoring_case, exact = ([_meant(text) for text in texts] for texts in (self.iexclude, self.exclude))
        patterns += Patterns.of_options(ignoring_case, ignores_case=True) + Patterns.of_options(exact)
        markers = [_marker(text) for text in self.exclude_if_present]
        return Selection(
            patterns=patterns,
            ignore_file=IGNORE_FILE if self.ignore_files else None,
            markers=(*([CACHE_MARKER] if self.exclude_caches else []), *markers),
            size_max=self.exclude_larger_than,
            one_file_system=self.one_file_system,
        )


def _patterns_of_file(file: str, standard_input: BinaryIO | None) -> Patterns:
    def refuse(number: int, error: PatternError) -> None:
        raise PatternError(f"{file}, line {number}: {error}") from error

    lines = read_list(file, standard_input).split(b"\n")
    for number, line in enumerate(lines):
        try:
            lines[number] = os.fsencode(_meant(os.fsdecode(line)))
        except PatternError as error:
            refuse(number + 1, error)
    return Patterns.of_file(b"\n".join(lines), on_bad=refuse)


def _meant(text: str) -> str:
    """Return the pattern that a user means: the home folder is written out, as no shell does within a list.

    Raises:
        PatternError: It is written as another program has it, and would match nothing here.
    """
    foreign = _FOREIGN.match(text)
    if foreign is not None:
        rest = foreign[1].strip() or "PATTERN"
        raise PatternError(f"{text} is written as for another program; write {rest}, or \\{text} if it is a name")
    home = _HOME.match(text)
    if home is None:
        return text
    folder = re.sub(r"([\\*?\[])", r"\\\1", os.path.expanduser("~").rstrip("/"))
    return f"{home[1]}{folder}/{text[home.end() :]}"


def read_list(file: str, standard_input: BinaryIO | None) -> bytes:
    """Read a file that an option names, or standard input for `-`.

    Raises:
        UsageError: It can't be read, or is too large to be meant.
    """
    try:
        if file == "-":
            content = b"" if standard_input is None else standard_input.read(PATTERN_FILE_SIZE_MAX + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(PATTERN_FILE_SIZE_MAX + 1)
    except OSError as error:
        raise UsageError(f"{file}: can't read it ({error.strerror})") from error
    if len(content) > PATTERN_FILE_SIZE_MAX:
        raise UsageError(f"{file}: this is larger than 64 MiB; name a file of patterns, one a line")
    return content


def _marker(text: str) -> MarkerFile:
    name, _, header = text.partition(":")
    if not name or "/" in name:
        raise UsageError(f"{text!r}: give a file's name, or NAME:HEADER with what the file begins with")
    return MarkerFile(os.fsencode(name), os.fsencode(header))
