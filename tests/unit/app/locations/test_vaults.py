"""Opening vaults that the configuration names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from tallac.app.configuration.configuration import Configuration, ConfigurationFile, KnownGrid
from tallac.app.configuration.folders import Folders
from tallac.app.locations.backends import Backends
from tallac.app.locations.grid_options import GridOptions
from tallac.app.locations.vaults import Vaults
from tallac.app.secrets.secret_reader import SecretSource
from tallac.backends.memory import MemoryBackend
from tallac.errors import VaultNotFoundError
from tallac.interfaces import Backend


class RecordingBackends:
    """A fake that records what is asked for, of which all is empty."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def connect_ahead(self, url: str) -> None:
        self.events.append(("connect", url))

    def remembered_header(self, url: str) -> bytes | None:
        self.events.append(("remembered", url))
        return None

    def at(self, url: str) -> Backend:
        self.events.append(("read", url))
        return MemoryBackend()


def test_a_connection_is_begun_before_anything_is_read(tmp_path: Path) -> None:
    """A login over a line takes as long as it takes to load and to read what a vault needs here."""
    url = "sftp://somewhere/vault"
    folders = Folders(tmp_path / "configuration", tmp_path / "state", tmp_path / "vault")
    file, backends = ConfigurationFile(folders.configuration), RecordingBackends()
    vaults = Vaults(folders, file, GridOptions(), SecretSource(None), os.urandom, lambda: cast(Backends, backends))
    with pytest.raises(VaultNotFoundError):
        vaults.opener(Configuration(grids={"i": KnownGrid(url, "secret")}), "i")
    assert backends.events == [("connect", url), ("remembered", url), ("read", url)]
