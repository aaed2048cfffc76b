"""The options that choose the newest snapshot of a host or a folder in place of `Latest`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tallac.cli.options.option import several

if TYPE_CHECKING:
    from tallac.app.client import Client


def newest_options() -> list[click.Parameter]:
    """Make the options."""
    return [
        several("--host", metavar="HOST", text="In place of Latest, the newest snapshot of this host.", synonyms=("-H",)),
        several("--source", metavar="FOLDER", text="In place of Latest, the newest snapshot of this folder.", synonyms=("--path",)),
    ]


def in_newest(client: Client, place: str, host: tuple[str, ...], source: tuple[str, ...]) -> str:
    """Return a place as it is without these options, and else in the snapshot that they choose.

    Raises:
        EntryNotFoundError: There is no such snapshot.
        UsageError: The place names a snapshot already.
    """
    if not (host or source):
        return place
    from tallac.cli.options.snapshots import choice_of  # lazy import: a listing does without rules

    return client.snapshots.newest_of(place, choice_of({"host": host, "source": source}))
