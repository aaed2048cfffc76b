"""What other programs leave in a vault's folder: it is named by a check, and stops nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.command import Tallac

FOLDERS = ("sessions", "slots", "registers", "packs", "index")


def test_what_is_no_object_is_left_alone(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Files of a file manager, and copies that a synchronising program made of objects, stop no command and stay."""
    tallac("-q", "backup", source)
    strange = []
    for folder in FOLDERS:
        (tallac.vault / folder).mkdir(exist_ok=True)
        objects = [path for path in (tallac.vault / folder).iterdir() if path.is_file()]
        for name in ("desktop.ini", ".DS_Store", "thumbs.db", "abc123", "index.old"):
            strange.append(tallac.vault / folder / name)
            strange[-1].write_text("x")
        for path in objects[:1]:
            for name in (f"{path.name} (conflicted copy 2026-11-30)", f"{path.name}.sync-conflict-20261130", f"{path.name[:-1]}"):
                strange.append(path.with_name(name))
                shutil.copy(path, strange[-1])
    checked = tallac("check", "--read-data", "tallac:")
    for folder in FOLDERS:
        assert (checked.out.decode() + checked.err).count(f"{folder}/desktop.ini does not belong to a vault; ignored") == 1
    (source / "more").write_text("more")
    tallac("-q", "backup", source)
    tallac("forget", "tallac:", "--keep-last", "1")
    for words in (
        ["prune", "tallac:", "--max-unused", "0"],
        ["repair", "tallac:"],
        ["vault-stats", "tallac:"],
        ["mirror", "tallac:", str(tmp_path / "mirror")],
        ["check", "--read-data", "tallac:"],
    ):
        tallac(*words)
    assert all(path.exists() for path in strange)
    assert not list((tmp_path / "mirror").rglob("desktop.ini"))
    (tallac.vault / "sessions" / ("0" * 32)).write_bytes(b"damaged")
    assert "sessions/" in tallac("prune", "tallac:").err
