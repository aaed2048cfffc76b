"""Rights that a restore could give away: by another owner, or by what somebody else made (findings 10 and 5 of the review).

The attackers are a local user whose files root backs up and restores for others, and whoever shares a snapshot.
"""

from __future__ import annotations

import os
import pwd
import stat
import struct
import tarfile
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from tests.command import Tallac
from tests.hostile.planting import DIRECTORY, plant
from tests.unit.restore.conftest import FakeGrid

from tallac.dag import Entry, Metadata
from tallac.restore import Overwrite, Problem, RestoreObserver, RestoreOptions, parse_owner_rules, restore

needs_root = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root sets owners, and makes devices")
# cap_net_raw, permitted and effective; see linux/capability.h.
CAPABILITIES = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
CAPABILITY = (b"security.capability", CAPABILITIES)
PRIVILEGED = 0o6755
ROOT = Metadata(mode=0o100755 | PRIVILEGED, uid=0, gid=0, user="root", group="root", xattrs=(CAPABILITY,))
NOBODY = Metadata(mode=0o100755 | PRIVILEGED, uid=65_534, gid=65_534, user="nobody", group="nogroup", xattrs=(CAPABILITY,))


def rights_of(path: Path) -> tuple[int, bool]:
    """Return the privileged bits of a file, and whether it has capabilities."""
    return path.stat().st_mode & 0o6000, "security.capability" in os.listxattr(path)


def with_metadata(metadata: Metadata) -> tuple[FakeGrid, Entry]:
    """Store one file with this metadata in a directory."""
    grid = FakeGrid()
    return grid, Entry.of(b"", grid.put_directory([Entry(b"evil", b"L#!/bin/sh\n", metadata)]), DIRECTORY)


CHANGED_OWNERS: dict[str, tuple[Metadata, RestoreOptions]] = {
    "a rule gives the user's files to root": (
        NOBODY,
        RestoreOptions(user_rules=parse_owner_rules(["nobody:root"]), group_rules=parse_owner_rules(["nogroup:root"])),
    ),
    "a rule by numbers": (NOBODY, RestoreOptions(user_rules=parse_owner_rules(["65534:0"]), group_rules=())),
    "a rule for the group alone": (NOBODY, RestoreOptions(group_rules=parse_owner_rules(["nogroup:0"]))),
    "a number that is somebody's here": (
        Metadata(mode=0o104755, uid=0, gid=0, user="stranger-64201", group="root", xattrs=(CAPABILITY,)),
        RestoreOptions(),
    ),
    "a group's number that is another one's here": (
        Metadata(mode=0o102755, uid=0, gid=0, user="root", group="strangers-64201", xattrs=(CAPABILITY,)),
        RestoreOptions(),
    ),
    "no owner at all": (Metadata(mode=0o106755, xattrs=(CAPABILITY,)), RestoreOptions()),
    "a group and no user": (Metadata(mode=0o106755, gid=0, xattrs=(CAPABILITY,)), RestoreOptions()),
    "a number that nobody can have": (Metadata(mode=0o106755, uid=1 << 40, gid=0, xattrs=(CAPABILITY,)), RestoreOptions()),
}


@needs_root
@pytest.mark.parametrize("name", CHANGED_OWNERS)
@pytest.mark.parametrize("in_place", [False, True])
def test_rights_go_where_the_owner_is_another(tmp_path: Path, name: str, in_place: bool) -> None:
    """Setuid and setgid bits and capabilities are left out and named, into a new folder and over what is there alike."""
    metadata, options = CHANGED_OWNERS[name]
    grid, root = with_metadata(metadata)
    problems: list[Problem] = []
    if in_place:
        # The content is right, so the file stays, and gets its metadata only.
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "evil").write_bytes(b"#!/bin/sh\n")
        options = msgspec.structs.replace(options, overwrite=Overwrite.ALWAYS)
    restore(grid, root, tmp_path / "out", options=options, observer=RestoreObserver(problem=problems.append), workers=0)
    assert rights_of(tmp_path / "out" / "evil") == (0, False)
    (problem,) = problems
    assert "since the owner is" in problem.message
    assert "setuid and setgid bits and capabilities" in problem.message


@needs_root
@pytest.mark.parametrize("options", [RestoreOptions(), RestoreOptions(numeric_owners=True)], ids=["by name", "by number"])
def test_rights_stay_with_their_owner(tmp_path: Path, options: RestoreOptions) -> None:
    """Root's own programs come back whole, also a second time over themselves, where nothing is left to set."""
    grid, root = with_metadata(ROOT)
    problems: list[Problem] = []
    observer = RestoreObserver(problem=problems.append)
    restore(grid, root, tmp_path / "out", options=options, observer=observer, workers=0)
    assert rights_of(tmp_path / "out" / "evil") == (0o6000, True)
    again = msgspec.structs.replace(options, overwrite=Overwrite.IF_CHANGED, verify=True)
    summary = restore(grid, root, tmp_path / "out", options=again, observer=observer, workers=0)
    assert rights_of(tmp_path / "out" / "evil") == (0o6000, True)
    assert problems == []
    assert (summary.unchanged, summary.amended, summary.verified) == (1, 0, 1)


@needs_root
def test_a_rule_that_changes_nothing_takes_nothing(tmp_path: Path) -> None:
    """A rule from root to root leaves root's programs as they were."""
    grid, root = with_metadata(ROOT)
    restore(grid, root, tmp_path / "out", options=RestoreOptions(user_rules=parse_owner_rules(["root:root"])), workers=0)
    assert rights_of(tmp_path / "out" / "evil") == (0o6000, True)


@needs_root
def test_what_was_taken_is_not_asked_for_again(tmp_path: Path) -> None:
    """A second restore over the first one finds the file as it is to be, so nothing is set for ever and ever."""
    grid, root = with_metadata(NOBODY)
    options = RestoreOptions(user_rules=parse_owner_rules(["nobody:root"]), overwrite=Overwrite.IF_CHANGED, verify=True)
    restore(grid, root, tmp_path / "out", options=options, workers=0)
    problems: list[Problem] = []
    summary = restore(grid, root, tmp_path / "out", options=options, observer=RestoreObserver(problem=problems.append), workers=0)
    assert (summary.unchanged, summary.amended, problems) == (1, 0, [])


# What somebody else shares.

LABEL = (b"trusted.overlay.opaque", b"y")
SHARED = [
    Entry(b"block", b"L", Metadata(mode=0o60666, rdev=(7, 99), uid=0, gid=0)),
    Entry(b"capable", b"Lx", Metadata(mode=0o100755, uid=0, gid=0, xattrs=(CAPABILITY,))),
    Entry(b"fifo", b"L", Metadata(mode=0o10644, uid=0, gid=0)),
    Entry(b"labelled", b"Lx", Metadata(mode=0o100644, uid=0, gid=0, xattrs=(LABEL, (b"user.note", b"mine")))),
    Entry(b"linked-1", b"Lx", Metadata(mode=0o104755, uid=0, gid=0, inode=7, device=7, links=2)),
    Entry(b"linked-2", b"Lx", Metadata(mode=0o104755, uid=0, gid=0, inode=7, device=7, links=2)),
    Entry(b"mem", b"L", Metadata(mode=0o20666, rdev=(1, 1), uid=0, gid=0)),
    Entry(b"mem-linked", b"L", Metadata(mode=0o20666, rdev=(1, 1), uid=0, gid=0, inode=8, device=7, links=2)),
    Entry(b"plain", b"Lx", Metadata(mode=0o100644, uid=0, gid=0)),
    Entry(b"setgid", b"Lx", Metadata(mode=0o102755, uid=0, gid=0)),
    Entry(b"setuid", b"Lx", Metadata(mode=0o104755, uid=0, gid=0)),
]
DEVICES = ["block", "mem", "mem-linked"]
WITHHELD = len(SHARED) - len([b"fifo", b"plain"])
# The snapshot's own entry counts where the path leads to it by a name, which has metadata.
COUNTS = (WITHHELD, WITHHELD + 1)
LINES = [
    f"devices, setuid bits and capabilities of {n} files were left out: somebody else shared this; --trust-source restores them"
    for n in COUNTS
]


@pytest.fixture
def giver(tmp_path: Path) -> Tallac:
    """Give a stranger with a vault and a snapshot that gives rights to whom it can."""
    tallac = Tallac(tmp_path / "giver")
    tallac("init")
    plant(tallac, "evil", SHARED, Metadata(mode=0o44755, xattrs=(LABEL,)))
    return tallac


@pytest.fixture
def taker(giver: Tallac, tmp_path: Path) -> Tallac:
    """Give a user whom the stranger has given a cap and the locator key."""
    tallac = Tallac(tmp_path / "taker")
    key = tmp_path / "locator.txt"
    key.write_bytes(giver("locator-key", "tallac:").out)
    tallac("add-alias", "friend", giver("cap", "tallac:evil").out.decode().strip(), "--vault", giver.vault, "--vault-key", key)
    return tallac


def assert_restrained(out: Path) -> None:
    """See that a folder has everything that is harmless, and no rights."""
    assert sorted(os.listdir(out)) == [entry.name.decode() for entry in SHARED if entry.name.decode() not in DEVICES]
    for path in (out, *out.iterdir()):
        status = path.stat()
        assert not status.st_mode & 0o4000
        assert stat.S_ISDIR(status.st_mode) or not status.st_mode & 0o2000
        assert not [name for name in os.listxattr(path) if not name.startswith("user.")]
    assert os.getxattr(out / "labelled", "user.note") == b"mine"


def ways_of_a_stranger(giver: Tallac, taker: Tallac) -> dict[str, str]:
    """Return the paths by which a snapshot can come from somebody else, each with what it begins at."""
    caps = {
        name: giver("cap", f"tallac:{path}").out.decode().strip() for name, path in (("target", "evil"), ("one", "evil/Latest"))
    }
    taker("add-alias", "one", caps["one"], "--vault", giver.vault)
    return {
        "an alias": "friend:Latest",
        "a name in Archives": "friend:Archives/2026-01-02_03:04:05Z",
        "an alias of the snapshot itself": "one:",
        "a cap": f"{caps['target']}/Latest",
        "a cap of the snapshot itself": caps["one"],
    }


@needs_root
def test_a_shared_snapshot_gives_its_maker_no_rights(giver: Tallac, taker: Tallac, tmp_path: Path) -> None:
    """By whatever path it comes: no devices, setuid programs, capabilities or privileged labels, and one line with their number."""
    for number, path in enumerate(ways_of_a_stranger(giver, taker).values()):
        out = tmp_path / f"out{number}"
        found = taker("restore", path, out)
        assert len([line for line in found.error_lines if line in LINES]) == 1, path
        assert_restrained(out)
        again = taker("--json", "restore", path, out, "--overwrite", "always", "--verify", "--any-source")
        assert again.summary("withheld") in COUNTS
        assert_restrained(out)
        dry = taker("--json", "restore", path, tmp_path / "dry", "--dry-run")
        assert dry.summary("withheld") == again.summary("withheld")


@needs_root
def test_a_link_in_ones_own_folder_is_still_a_strangers(giver: Tallac, tmp_path: Path) -> None:
    """Linked below the user's own alias, in the same vault, the stranger's directory and snapshot are known for what they are."""
    read_cap, snapshot = (giver("cap", f"tallac:{path}").out.decode().strip() for path in ("evil", "evil/Latest"))
    giver("mkdir", "tallac:mine")
    giver("ln", read_cap, "tallac:mine/theirs")
    giver("ln", snapshot, "tallac:mine/gift")
    for number, path in enumerate(("tallac:mine/theirs/Latest", "tallac:mine/gift")):
        giver("restore", path, tmp_path / f"out{number}")
        assert_restrained(tmp_path / f"out{number}")


@needs_root
def test_single_files_of_a_stranger_have_no_rights_either(taker: Tallac, tmp_path: Path) -> None:
    """A file restored by itself, a device among them, is held to the same."""
    taker("restore", "friend:Latest/setuid", f"{tmp_path / 'out'}/")
    assert rights_of(tmp_path / "out" / "setuid") == (0, False)
    found = taker("restore", "friend:Latest/mem", f"{tmp_path / 'out'}/")
    assert not (tmp_path / "out" / "mem").exists()
    assert "of 1 file were left out" in found.err


@needs_root
def test_an_archive_of_a_strangers_snapshot_gives_no_rights(taker: Tallac) -> None:
    """Root's tar gives the bits in an archive to what it unpacks; so they are not in it, and neither are devices."""
    found = taker("restore", "friend:Latest", "-")
    assert found.error_lines == LINES[1:]
    with tarfile.open(fileobj=BytesIO(found.out)) as archive:
        for member in archive:
            assert not member.isdev() or member.isfifo()
            assert not member.mode & 0o4000
            assert not any("security." in key or "trusted." in key for key in member.pax_headers)
    whole = taker("restore", "friend:Latest", "-", "--trust-source")
    with tarfile.open(fileobj=BytesIO(whole.out)) as archive:
        modes = {member.name: member.mode for member in archive}
        assert modes["setuid"] == 0o4755
        assert "mem" in modes


@needs_root
def test_a_trusted_source_brings_all(taker: Tallac, tmp_path: Path) -> None:
    """With --trust-source a stranger's snapshot is restored as it is, as far as this machine has devices."""
    found = taker("restore", "friend:Latest", tmp_path / "out", "--trust-source", status=None)
    assert "somebody else shared" not in found.err
    assert rights_of(tmp_path / "out" / "setuid")[0] == 0o4000
    assert rights_of(tmp_path / "out" / "capable")[1]


@needs_root
@pytest.mark.parametrize("path", ["tallac:evil/Latest", "tallac:evil/Archives/2026-01-02_03:04:05Z", "evil@latest", "evil/Latest"])
def test_ones_own_snapshot_comes_back_whole(giver: Tallac, tmp_path: Path, path: str) -> None:
    """Through an alias of one's own, with the key that stores: every right comes back, and nothing is said."""
    found = giver("restore", path, tmp_path / "out", status=None)
    assert "somebody else shared" not in found.err
    assert rights_of(tmp_path / "out" / "setuid")[0] == 0o4000
    assert rights_of(tmp_path / "out" / "capable")[1]


@needs_root
def test_a_user_is_made_nobodys_tool(giver: Tallac, taker: Tallac, tmp_path: Path) -> None:
    """Not only root: a setuid program of an ordinary user would let others on the machine act as that user."""
    name = pwd.getpwuid(os.geteuid()).pw_name
    plant(giver, "mine", [Entry(b"program", b"Lx", Metadata(mode=0o104755, user=name, uid=0, gid=0))])
    cap = giver("cap", "tallac:mine").out.decode().strip()
    taker("restore", f"{cap}/Latest", tmp_path / "out")
    assert rights_of(tmp_path / "out" / "program") == (0, False)
