"""The options of a backup, made from the table that jobs have their keys from."""

from __future__ import annotations

import click

from tallac.backup.option_table import EXCLUSIONS, MANNER, SOURCE_LISTS, BackupOption, OptionKind
from tallac.cli.options.option import Option, as_typed
from tallac.cli.options.sizes import parse_size

_TYPED = {OptionKind.TYPED_TEXT, OptionKind.TYPED_TEXTS}


def exclusion_options() -> list[click.Parameter]:
    """Make the options on what is left out."""
    return [_made(option) for option in EXCLUSIONS]


def source_list_options() -> list[click.Parameter]:
    """Make the options on lists of sources."""
    return [_made(option) for option in SOURCE_LISTS]


def backup_options() -> list[click.Parameter]:
    """Make the options on how to back up."""
    return [_made(option) for option in MANNER]


def _made(option: BackupOption) -> Option:
    names = [*([option.short] if option.short else []), f"--{option.name}", *([option.parameter] if option.parameter else [])]
    match option.kind:
        case OptionKind.FLAG:
            return Option(names, is_flag=True, help=option.text, synonyms=option.synonyms)
        case OptionKind.OFF_FLAG:
            return Option(names, flag_value=False, default=True, type=bool, help=option.text, synonyms=option.synonyms)
        case OptionKind.SIZE:
            return Option(names, metavar=option.metavar, type=parse_size, help=option.text, synonyms=option.synonyms)
        case kind:
            return Option(
                names,
                metavar=option.metavar,
                help=option.text,
                synonyms=option.synonyms,
                type=as_typed if kind in _TYPED else None,
                multiple=kind.is_several,
            )
