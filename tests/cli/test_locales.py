"""Bytes in, bytes out: what is typed under another locale than UTF-8 is what was meant."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Tallac

# Each runs the command several times.
pytestmark = pytest.mark.slow


@pytest.fixture
def latin(tallac: Tallac, tmp_path: Path) -> Tallac:
    """Give a command under a Latin-1 locale, which is made for it."""
    if shutil.which("localedef") is None:
        pytest.skip("no locale can be made here")
    made = subprocess.run(["localedef", "-i", "en_US", "-f", "ISO-8859-1", tmp_path / "latin"], capture_output=True, check=False)
    if not (tmp_path / "latin").is_dir():
        pytest.skip(f"no locale can be made here: {made.stderr.decode(errors='replace')}")
    variables = (f"LOCPATH={tmp_path}", "LC_ALL=latin", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0")
    return replace(tallac, before=("env", *variables))


def test_what_is_typed_under_latin_1_is_what_was_meant(latin: Tallac, tmp_path: Path) -> None:
    """Names are found, excluded and rewritten by their bytes, and tags, hosts and notes are the same under any locale."""
    folder = tmp_path / "names"
    folder.mkdir()
    for name in ("geheim-ü", "ö", "plain"):
        (folder / name).write_text(name)
    latin("-q", "init", tmp_path / "disk", "--alias", "usb")
    latin("-q", "backup", folder, "usb:d", "--tag", "tägl", "--host", "höhle", "--exclude", "ö")
    utf8 = replace(latin, before=())
    assert utf8("ls", "usb:d/Latest").out.split() == ["geheim-ü".encode(), b"plain"]
    assert "geheim-ü".encode() in latin("find", "usb:d", "geheim-ü").out
    assert "geheim-ü".encode() in latin("find", "usb:d", "*-ü").out
    for command in (latin, utf8):
        assert "tägl".encode() in command("snapshots", "usb:d", "--tag", "tägl", "--host", "höhle").out
    latin("-q", "restore", "usb:d/Latest", tmp_path / "back", "--include", "geheim-ü")
    assert os.listdir(tmp_path / "back") == ["geheim-ü"]
    latin("-q", "rewrite", "usb:d", "--exclude", "geheim-ü")
    assert utf8("ls", "usb:d/Latest").out.split() == [b"plain"]


def test_a_snapshot_is_told_of_where_its_summary_cannot_be(tallac: Tallac, source: Path, tmp_path: Path) -> None:
    """Status 1 means that there is no snapshot; where there is one, it is 3, and a line says which."""
    full = replace(tallac, before=("sh", "-c", 'exec "$@" > /dev/full', "sh"))
    tallac("-q", "init", tmp_path / "disk", "--alias", "usb")
    shown = full("backup", source, "usb:d", status=3).err
    assert shown.startswith("tallac: can't write to standard output: No space left on device; the snapshot 2")
    assert len(tallac("ls", "usb:d/Archives").lines) == 1
