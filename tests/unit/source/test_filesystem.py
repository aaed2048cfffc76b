"""The table of mounts."""

from __future__ import annotations

import os
from pathlib import Path

from tallac.source import MountPoint, Mounts

TABLE = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
36 35 98:0 /mnt1 /mnt/a\040b\134c rw,noatime master:1 - ext3 /dev/root rw
40 35 0:44 / /mnt/nas rw shared:7 - fuse.sshfs ann@nas:/ rw
41 35 0:45 / /home/ann/cloud rw - nfs4 nas:/c rw
42 40 0:46 / /mnt/nas rw - autofs auto rw
nonsense
"""


def test_a_table_is_read() -> None:
    """Places may have any characters, and lines any number of optional fields."""
    mounts = Mounts.of_table(TABLE)
    names = {folder: set(found) for folder, found in mounts.names.items()}
    assert names == {b"/": {b"proc"}, b"/mnt": {b"a b\\c", b"nas"}, b"/home/ann": {b"cloud"}}
    assert mounts.names[b"/mnt"][b"nas"] == MountPoint(os.makedev(0, 46), "autofs")
    assert [point.is_served for point in mounts.names[b"/mnt"].values()] == [False, True]
    assert mounts.kinds[os.makedev(0, 44)] == "fuse.sshfs"
    assert mounts.has_moving_numbers(os.makedev(0, 44))
    assert not mounts.has_moving_numbers(os.makedev(98, 0))
    assert mounts.has_far_clock(os.makedev(0, 45))
    name = b".nfs00000000000012ab00000003"
    assert [mounts.is_deleted(name, device) for device in (os.makedev(0, 45), os.makedev(0, 44))] == [True, False]
    assert not mounts.is_deleted(name[:-1], os.makedev(0, 45))


def test_places_are_named_as_the_walk_names_them(tmp_path: Path) -> None:
    """A source that is named through a link has its mounts below the link."""
    (tmp_path / "real" / "d").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    real, link = os.fsencode(tmp_path / "real"), os.fsencode(tmp_path / "link")
    point = MountPoint(1, "ext4")
    mounts = Mounts({1: "ext4"}, {real + b"/d": {b"m": point}, real: {b"n": point}, b"/": {b"proc": point}})
    assert mounts.seen_from(link).names == {link + b"/d": {b"m": point}, link: {b"n": point}}
    assert mounts.seen_from(real) is mounts


def test_the_table_of_this_machine_can_be_read() -> None:
    """Where there is one, the root is in it."""
    mounts = Mounts.read()
    assert not mounts.kinds or mounts.names[b"/"]
