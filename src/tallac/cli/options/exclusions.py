"""The options that say what is left out of a backup."""

from __future__ import annotations

from typing import TypedDict

import click

from tallac.cli.options.sizes import parse_size


class ExclusionOptions(TypedDict):
    """What they say; see `tallac.app.operations.exclusions.Exclusions`."""

    exclude: tuple[str, ...]
    iexclude: tuple[str, ...]
    exclude_from: tuple[str, ...]
    exclude_vcs: bool
    exclude_caches: bool
    exclude_if_present: tuple[str, ...]
    exclude_larger_than: int | None
    one_file_system: bool
    ignore_files: bool


def exclusion_options() -> list[click.Parameter]:
    """Make the options that `ExclusionOptions` has the values of."""
    return [
        _several("--exclude", "PATTERN", "Leave out what matches, as in a .gitignore file; may be given several times."),
        _several("--iexclude", "PATTERN", "The same, whatever the case of letters."),
        click.Option(
            ["--exclude-from", "--exclude-from-utf-8", "exclude_from"],
            metavar="FILE|-",
            multiple=True,
            help="Leave out what the patterns in a file match, one a line.",
        ),
        _flag("--exclude-vcs", text="Leave out what version control systems keep: .git, .svn, CVS and the like."),
        _flag("--exclude-caches", text="Leave out directories that hold a CACHEDIR.TAG, save that file."),
        _several("--exclude-if-present", "NAME[:HEADER]", "Leave out directories that hold such a file, save that file."),
        click.Option(["--exclude-larger-than"], metavar="SIZE", type=parse_size, help="Leave out larger files, as in 500k or 2G."),
        _flag("-x", "--one-file-system", text="Leave out what is mounted below FROM."),
        click.Option(
            ["--no-ignore-files", "ignore_files"],
            flag_value=False,
            default=True,
            type=bool,
            help="Take no notice of .tallacignore.",
        ),
    ]


def _several(name: str, metavar: str, text: str) -> click.Option:
    return click.Option([name], metavar=metavar, multiple=True, help=text)


def _flag(*names: str, text: str) -> click.Option:
    return click.Option(names, is_flag=True, help=text)
