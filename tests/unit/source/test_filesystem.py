"""The table of mounts."""

from __future__ import annotations

import os
from pathlib import Path

from tallac.source import Mounts

TABLE = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
36 35 98:0 /mnt1 /mnt/a\040b\134c rw,noatime master:1 - ext3 /dev/root rw
40 35 0:44 / /mnt/nas rw shared:7 - fuse.sshfs ann@nas:/ rw
41 35 0:45 / /home/ann/cloud rw - nfs4 nas:/c rw
nonsense
"""


def test_a_table_is_read() -> None:
    """Places may have any characters, and lines any number of optional fields."""
    mounts = Mounts.of_table(TABLE)
    assert mounts.names == {b"/": {b"proc"}, b"/mnt": {b"a b\\c", b"nas"}, b"/home/ann": {b"cloud"}}
    assert mounts.kinds[os.makedev(0, 44)] == "fuse.sshfs"
    assert mounts.has_moving_numbers(os.makedev(0, 44))
    assert not mounts.has_moving_numbers(os.makedev(98, 0))
    assert mounts.has_far_clock(os.makedev(0, 45))
    assert mounts.is_nfs(os.makedev(0, 45))


def test_places_are_named_as_the_walk_names_them(tmp_path: Path) -> None:
    """A source that is named through a link has its mounts below the link."""
    (tmp_path / "real" / "d").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    real, link = os.fsencode(tmp_path / "real"), os.fsencode(tmp_path / "link")
    mounts = Mounts({1: "ext4"}, {real + b"/d": frozenset({b"m"}), real: frozenset({b"n"}), b"/": frozenset({b"proc"})})
    assert mounts.seen_from(link).names == {link + b"/d": {b"m"}, link: {b"n"}}
    assert mounts.seen_from(real) is mounts


def test_the_table_of_this_machine_can_be_read() -> None:
    """Where there is one, the root is in it."""
    mounts = Mounts.read()
    assert not mounts.kinds or mounts.names[b"/"]
