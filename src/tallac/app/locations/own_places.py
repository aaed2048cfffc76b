"""Where on this machine Tallac's own things are, as far as the configuration knows: keys, configuration, state, and vaults."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from tallac.app.configuration.configuration import Configuration
from tallac.app.configuration.folders import Folders
from tallac.app.locations.urls import folder_of_url, is_folder_url
from tallac.source import OwnKind, OwnPlace


def own_places(
    folders: Folders, configuration_path: Path, configuration: Configuration, target: tuple[Path, str] | None
) -> Iterator[OwnPlace]:
    """Yield what is Tallac's own.

    Args:
        folders: The user's.
        configuration_path: The file that the configuration was read from.
        configuration: What is in it.
        target: The folder and the identity of the vault that a backup goes into.
    """
    if target is not None:
        yield OwnPlace(os.fsencode(target[0]), OwnKind.VAULT, target[1], is_target=True)
    yield OwnPlace(os.fsencode(folders.configuration), OwnKind.CONFIGURATION)
    if os.path.islink(configuration_path):
        # The folder holds a link; the keys are where that leads.
        yield OwnPlace(os.fsencode(configuration_path), OwnKind.CONFIGURATION)
    yield OwnPlace(os.fsencode(folders.state), OwnKind.STATE)
    yield OwnPlace(os.fsencode(folders.caches), OwnKind.STATE)
    for identity, grid in configuration.grids.items():
        if is_folder_url(grid.location) and (target is None or identity != target[1]):
            yield OwnPlace(os.fsencode(folder_of_url(grid.location)), OwnKind.VAULT, identity)
        if grid.key_source is not None and grid.key_source.file:
            yield OwnPlace(os.fsencode(grid.key_source.file), OwnKind.KEY)
