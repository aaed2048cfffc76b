"""Metadata that no file has, in a snapshot among honest ones (finding 15 of the review): no command falls over it.

The attacker writes to the same target, or has written to a directory that the user looks at.
"""

from __future__ import annotations

import json
import random
import stat
from pathlib import Path

import msgspec
import pytest
from tests.command import Tallac
from tests.hostile.planting import NAME, plant

from tallac.dag import Entry, FileType, Metadata, file_type_of

ODD_MODES = [
    0,
    -1,
    1,
    0o644,
    0o777,
    1 << 60,
    -(1 << 60),
    0o170000,
    0o150644,
    0o30644,
    1 << 31,
    1 << 32,
    (1 << 32) | 0o100644,
    1 << 63,
]
NUMBERS = [0, 1, -1, 255, 1 << 15, 1 << 16, 1 << 31, -(1 << 31), 1 << 32, 1 << 53, (1 << 63) - 1, -(1 << 63)]
TEXTS = ["", "root", "\x1b[2J", "\u202e", "x" * 1000, "a\nb", "\udc80".encode("utf-8", "replace").decode()]
BYTES = [b"", b"\0", b"\xff", b"../..", b"\n", b"x" * 1000]


def odd(chance: random.Random) -> Metadata:
    """Make up metadata, each field with a value of its type, and most of them none that a file has."""

    def number() -> int:
        return chance.choice(NUMBERS)

    fields: dict[str, object] = {
        "mode": chance.choice([None, *ODD_MODES, 0o100644, 0o40755, 0o120777, 0o60600, 0o20600, 0o10600, 0o140600]),
        "uid": number(),
        "gid": number(),
        "user": chance.choice(TEXTS),
        "group": chance.choice(TEXTS),
        "mtime": (number(), chance.choice([0, 1, 999_999_999])),
        "ctime": (number(), 0),
        "inode": number(),
        "device": number(),
        "links": chance.choice([1, 2, 1 << 31]),
        "target": chance.choice([None, *BYTES]),
        "rdev": chance.choice([None, (number(), number())]),
        "xattrs": tuple((name, chance.choice(BYTES)) for name in sorted(set(chance.choices(BYTES, k=2)))),
        # All but those that would keep the test's folder from being removed.
        "flags": chance.choice([0, 1, 1 << 31, 0xFFFFFFCF]),
        "holes": chance.choice([(), ((0, 1 << 62),), ((5, 1), (1 << 40, 1))]),
        "changed": chance.random() < 0.5,
        "missing": chance.choice([(), (b"a", b"b")]),
        "partial": chance.random() < 0.5,
        "mounted": chance.random() < 0.5,
    }
    kept = {name: value for name, value in fields.items() if name == "mode" or chance.random() < 0.4}
    return Metadata(**kept)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Tallac:
    """Give a target with an honest snapshot's content, and each odd mode by itself."""
    tallac = Tallac(tmp_path_factory.mktemp("home"))
    tallac("init")
    entries = [Entry(b"%02d-odd" % number, b"Lcontent", Metadata(mode=mode)) for number, mode in enumerate(ODD_MODES)]
    plant(tallac, "odd", [*entries, Entry(b"honest", b"Lcontent", Metadata(mode=0o100644))])
    return tallac


def fuzzed(home: Path, seed: int) -> Tallac:
    """Give a target with two hundred files of any metadata at all, some of them directories by their caps, and an odd root."""
    tallac = Tallac(home)
    tallac("init")
    chance = random.Random(seed)
    entries = [Entry(b"%03d" % number, chance.choice([b"Lcontent", b"L", b"L" + b"x" * 55]), odd(chance)) for number in range(200)]
    plant(tallac, "odd", entries, odd(chance))
    return tallac


LATEST = "tallac:odd/Latest"
ARCHIVED = f"tallac:odd/Archives/{NAME.decode()}"
COMMANDS: list[tuple[str, ...]] = [
    ("ls", LATEST),
    ("ls", "-l", LATEST),
    ("ls", "-lR", "tallac:"),
    ("--json", "ls", "-R", "tallac:odd"),
    ("find", "tallac:odd", "*"),
    ("find", "tallac:odd", "*", "--type", "f"),
    ("find", "tallac:odd", "*", "--size", "+1"),
    ("find", "tallac:odd", "*", "--newer", "1y"),
    ("--json", "find", "tallac:odd", "*"),
    ("diff", LATEST, ARCHIVED),
    ("diff", LATEST, "tallac:odd/Archives"),
    ("diff", LATEST, "OUT"),
    ("--json", "diff", LATEST, "OUT"),
    ("du", "tallac:"),
    ("stats", "tallac:odd"),
    ("--json", "stats", "tallac:odd"),
    ("history", f"{LATEST}/05-odd"),
    ("history", "tallac:odd/005"),
    ("--json", "history", "tallac:odd/005"),
    ("snapshots", "tallac:odd"),
    ("--json", "snapshots", "tallac:odd"),
    ("cp", "-r", LATEST, "OUT"),
    ("cp", "-r", LATEST, "tallac:copy"),
    ("get", f"{LATEST}/05-odd", "-"),
    ("check", "tallac:odd"),
    ("deep-check", "tallac:odd"),
    ("manifest", "tallac:odd"),
    ("restore", LATEST, "OUT"),
    ("restore", LATEST, "OUT", "--dry-run"),
    ("restore", LATEST, "OUT", "--overwrite", "always", "--delete", "--any-source", "--verify"),
    ("restore", LATEST, "-"),
    ("restore", LATEST, "-", "--archive", "zip"),
    ("rewrite", "tallac:odd", "--exclude", "/000"),
    ("forget", "tallac:odd", "--keep-last", "1"),
]


def assert_stands(tallac: Tallac, command: tuple[str, ...], out: Path) -> None:
    """Run a command, and see that nothing unexpected became of it."""
    out.mkdir(exist_ok=True)
    result = tallac(*(str(out) if word == "OUT" else word for word in command), status=None)
    assert "unexpected" not in result.err, (command, result.err)
    assert result.status in (0, 1), (command, result.err)
    assert "\x1b" not in result.err


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_odd_modes_stop_no_command(target: Tallac, command: tuple[str, ...], tmp_path: Path) -> None:
    """Each odd mode, in one snapshot of a target, under each command that reads or copies."""
    assert_stands(target, command, tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_any_metadata_stops_no_command(tmp_path: Path, seed: int) -> None:
    """Fields with any value of their types, likewise."""
    tallac = fuzzed(tmp_path / "home", seed)
    for number, command in enumerate(COMMANDS):
        assert_stands(tallac, command, tmp_path / f"out{number}")


def test_odd_modes_are_an_unknown_kind(target: Tallac, tmp_path: Path) -> None:
    """A listing has them all, restore and cp name each of them and bring what is honest, and get gives the content."""
    listed = [json.loads(line) for line in target("--json", "ls", LATEST).lines]
    kinds = {found["name"]: found["type"] for found in listed}
    assert kinds.pop("honest") == "regular"
    assert set(kinds.values()) == {"unknown"}
    assert target("ls", "-l", LATEST).lines[0].startswith(b"??????????")
    for command in (("restore", LATEST, tmp_path / "restored"), ("cp", "-r", LATEST, tmp_path / "copied")):
        err = target(*command, status=1).err
        assert err.count("its mode belongs to no kind of file") == len(ODD_MODES)
    assert (tmp_path / "restored" / "honest").read_text() == (tmp_path / "copied" / "Latest" / "honest").read_text() == "content"
    assert target("get", f"{LATEST}/05-odd", "-").out == b"content"


def test_one_impossible_entry_does_not_end_a_copy(target: Tallac, tmp_path: Path) -> None:
    """Links without text or with a NUL in it, and names and texts that are too long, are named, and the rest is copied."""
    link = Metadata(mode=0o120777)
    entries = [
        Entry(b"a-empty", b"L", msgspec.structs.replace(link, target=b"")),
        Entry(b"b-nul", b"L", msgspec.structs.replace(link, target=b"a\0b")),
        Entry(b"c-long", b"L", msgspec.structs.replace(link, target=b"x" * 5000)),
        Entry(b"d" * 300, b"Lcontent", Metadata(mode=0o100644)),
        Entry(b"z-honest", b"Lcontent", Metadata(mode=0o100644)),
    ]
    plant(target, "impossible", entries)
    err = target("cp", "-r", "tallac:impossible/Latest", tmp_path, status=1).err
    assert (tmp_path / "Latest" / "z-honest").read_text() == "content"
    for name in (b"a-empty", b"b-nul", b"c-long", b"d" * 300):
        assert f"Latest/{name.decode()}: " in err


def test_every_number_has_a_file_type() -> None:
    """Whatever the number, its type is one of those that there are; those that a file has are told as Python tells them."""
    assert {file_type_of(mode) for mode in ODD_MODES} == {FileType.UNKNOWN}
    for kind in FileType:
        if kind is not FileType.UNKNOWN:
            assert file_type_of(kind.value | 0o7777) is kind
            assert stat.S_IFMT(kind.value | 0o7777) == kind.value
