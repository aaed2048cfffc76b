"""A vault leaves one provider after another, and comes back as it went."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.end_to_end.comparing import Looks, differences, look
from tests.stores.engines import Engine

from tallac.backends.object_store_settings import ObjectStoreSettings
from tallac.backends.sftp_session import SftpSettings


@pytest.mark.slow
def test_once_round(
    ceph: Engine,
    settings_of: Callable[..., ObjectStoreSettings],
    sftp_settings: SftpSettings,
    tallac: Tallac,
    source: Path,
    tmp_path: Path,
) -> None:
    """From a folder into a bucket, over SFTP and into another folder: each snapshot restores byte for byte, options come along."""
    on_sftp = f"sftp://127.0.0.1:{sftp_settings.port}{sftp_settings.path}/vault"
    s3_options = ("--store", f"endpoint={ceph.endpoint}", "--store", "connections=4")
    ssh_options = [
        word
        for key in ("identity", "known_hosts", "ssh_config")
        for word in ("--store", f"{key.replace('_', '-')}={getattr(sftp_settings, key)}")
    ]
    states: dict[str, dict[bytes, Looks]] = {}

    def back_up(name: str) -> None:
        (source / "parent" / name).write_bytes(os.urandom(200_000))
        found = json.loads(tallac("backup", "--json", source).lines[-1])
        states[found["snapshot"]] = look(source)

    back_up("in a folder")
    tallac("-q", "move-vault", "tallac:", settings_of(ceph).where, *s3_options)
    shutil.rmtree(tallac.vault)
    back_up("in a bucket")
    # A copy from before makes the move an update.
    tallac("-q", "mirror", "tallac:", on_sftp, *ssh_options)
    back_up("in a bucket once more")
    moved = json.loads(tallac("move-vault", "--json", "tallac:", on_sftp, *ssh_options).lines[-1])
    assert 0 < moved["pack_bytes"] < 400_000
    assert moved["delete_command"].startswith(f"aws s3 rm --recursive {settings_of(ceph).where}/ --endpoint-url {ceph.endpoint}")
    back_up("over SFTP")
    moved = json.loads(tallac("move-vault", "--json", "tallac:", tmp_path / "home again").lines[-1])
    assert moved["delete_command"] == f"ssh -p {sftp_settings.port} 127.0.0.1 rm -r {sftp_settings.path}/vault"
    shutil.rmtree(Path(sftp_settings.path) / "vault")
    tallac("check", "--read-data", "tallac:")
    for number, (name, state) in enumerate(states.items()):
        tallac("-q", "restore", f"tallac:Archives/{name}", tmp_path / f"out-{number}")
        assert differences(state, look(tmp_path / f"out-{number}")) == {}
    assert len(states) == 4
