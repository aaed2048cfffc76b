"""The options on what is left out of a backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from msgspec.structs import fields

from tallac.app.operations.exclusions import Exclusions
from tallac.cli.options.option import Option, flag, several
from tallac.cli.options.sizes import parse_size


def exclusion_options() -> list[click.Parameter]:
    """Make an option for each field of `Exclusions`."""
    return [
        several(
            "--exclude",
            metavar="PATTERN",
            text="Leave out what matches, as in a .gitignore file; may be repeated.",
            synonyms=("-e",),
        ),
        several("--iexclude", metavar="PATTERN", text="As --exclude, ignoring case."),
        several(
            "--exclude-from",
            metavar="FILE|-",
            text="Leave out what the patterns in a file match, one a line.",
            synonyms=("--exclude-from-utf-8", "--exclude-file"),
        ),
        flag("--exclude-vcs", text="Leave out the files of version control systems: .git, .svn, CVS and the like."),
        flag("--exclude-caches", text="Leave out the content of directories with a CACHEDIR.TAG file; the file itself is kept."),
        several(
            "--exclude-if-present",
            metavar="NAME[:HEADER]",
            text="Leave out the content of directories that hold such a file; the file itself is kept.",
        ),
        Option(["--exclude-larger-than"], metavar="SIZE", type=parse_size, help="Leave out larger files, as in 500k or 2G."),
        flag("-x", "--one-file-system", text="Leave out other file systems that are mounted below FROM."),
        Option(
            ["--no-ignore-files", "ignore_files"], flag_value=False, default=True, type=bool, help="Ignore .tallacignore files."
        ),
    ]


def exclusions_of(values: Mapping[str, Any]) -> Exclusions:
    """Put the values of these options together; others are ignored."""
    return Exclusions(**{field.name: values[field.name] for field in fields(Exclusions)})
