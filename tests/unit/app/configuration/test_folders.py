from __future__ import annotations

import platform
import stat
from pathlib import Path

import pytest

from tallac.app.configuration.folders import Folders, host_name, make_private_folder
from tallac.errors import LocalStateError


def test_one_home_for_all(tmp_path: Path) -> None:
    """TALLAC_HOME puts configuration, state and vault under one folder."""
    folders = Folders.standard({"TALLAC_HOME": str(tmp_path)})
    assert folders == Folders(tmp_path / "config", tmp_path / "state", tmp_path / "vault", cache=tmp_path / "cache")


def test_the_platforms_folders() -> None:
    """Without TALLAC_HOME, each of the three has a folder of its own, named after Tallac."""
    folders = Folders.standard({})
    assert len({folders.configuration, folders.state, folders.vault}) == 3
    assert all("tallac" in str(folder) for folder in (folders.configuration, folders.state, folders.vault))


def test_a_private_folder(tmp_path: Path) -> None:
    """Only the user may enter."""
    make_private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_file_in_the_way(tmp_path: Path) -> None:
    """What can't be made is named."""
    (tmp_path / "file").touch()
    with pytest.raises(LocalStateError, match="file/b"):
        make_private_folder(tmp_path / "file" / "b")


def test_the_host_name_may_be_given() -> None:
    """`TALLAC_HOST` is the machine's name where it is set and not empty."""
    assert host_name({"TALLAC_HOST": "nas"}) == "nas"
    assert host_name({"TALLAC_HOST": ""}) == host_name({}) == platform.node()
