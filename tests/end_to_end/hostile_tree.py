"""Trees of everything that a backup easily loses. As a program: FOLDER, and 1 for what only root can make."""

from __future__ import annotations

import array
import os
import random
import socket
import stat
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

if sys.platform == "linux":
    import fcntl

Maker = Callable[[bytes, random.Random], None]

NAMES = [
    b"-rf",
    b"new\nline",
    b"\x1b[31mred\x07\x7f",
    b"\xff\xfe",
    b"n" * 255,
    b"\xc3\xa4" * 127,
    b" ",
    b"\\",
    b"*?",
    b"...",
    b"case",
    b"CASE",
    "\u00e4".encode(),
    "a\u0308".encode(),
    b"x:y",
    b"\r",
]
"""Names that are not UTF-8, of control characters, of 255 bytes; twins in case and in Unicode's forms."""

SECOND_NS = 1_000_000_000
TIMES_NS = [
    0,
    1,
    -1,
    -999_999_999,
    -1_000_000_000 * SECOND_NS + 5,
    1_700_000_000_123_456_789,
    2**31 * SECOND_NS - 1,
    2**31 * SECOND_NS + 7,
    2**32 * SECOND_NS + 1,
    2**63 // SECOND_NS * SECOND_NS + 10 * SECOND_NS,
    13_569_465_600 * SECOND_NS + 3,
]
"""Before 1970, the ends of 32 bits and of 64 bits of nanoseconds (2262), and a time in 2400."""

MODES = [0, 0o400, 0o777, 0o4755, 0o2755, 0o6711, 0o1777, 0o4000, 0o644]

ACL_ACCESS, ACL_DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602
FLAG_IMMUTABLE, FLAG_APPEND, FLAG_NODUMP, FLAG_NOATIME = 0x10, 0x20, 0x40, 0x80
BLOCK = 65_536
DEEP_LEVELS = 21


def get_flags(descriptor: int) -> int:
    """Read inode flags; 0 where there are none."""
    found = array.array("I", [0, 0])
    try:
        fcntl.ioctl(descriptor, GET_FLAGS, found)
    except OSError:
        return 0
    return found[0]


def set_flags(path: bytes, flags: int) -> bool:
    """Set inode flags where the file system and the user's rights allow it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, SET_FLAGS, array.array("I", [get_flags(descriptor) & ~0xFF | flags, 0]))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def acl(*rules: tuple[int, int, int]) -> bytes:
    """Give an ACL as the kernel takes it: (tag, rights, id) each."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *rule) for rule in rules)


NOBODY = 0xFFFFFFFF
OWNER_AND_A_USER = acl((0x01, 7, NOBODY), (0x02, 5, 1234), (0x04, 4, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY))
A_GROUP = acl((0x01, 7, NOBODY), (0x04, 5, NOBODY), (0x08, 1, 4321), (0x10, 5, NOBODY), (0x20, 4, NOBODY))


def write(path: bytes, content: bytes) -> None:
    """Write a file."""
    with open(path, "wb") as file:
        file.write(content)


def make_regular(path: bytes, chance: random.Random) -> None:
    """Make a file of one of the sizes at which something changes in how it is stored."""
    size = chance.choice([0, 1, 55, 56, 4096, 4097, 100_001, 524_288, 524_289, 1_500_000])
    write(path, chance.choice([bytes(size), chance.randbytes(size), b"text " * (size // 5)]))


def make_sparse(path: bytes, chance: random.Random) -> None:
    """Make a file with holes anywhere, and data at odd offsets."""
    with open(path, "wb") as file:
        for _ in range(chance.randrange(4)):
            file.seek(chance.randrange(64) * BLOCK + chance.randrange(2) * chance.randrange(BLOCK))
            file.write(chance.choice([bytes(BLOCK), b"x" * BLOCK, b"y"]))
        file.truncate(chance.randrange(1, 66) * BLOCK + chance.randrange(2))


def make_link(path: bytes, chance: random.Random) -> None:
    """Make a symbolic link, dangling or not."""
    os.symlink(chance.choice([b"nowhere", b"..", b"/", b"\xff\n", b"t" * 1000, path[-20:]]), path)


def make_fifo(path: bytes, _chance: random.Random) -> None:
    """Make a FIFO, which blocks whoever opens it."""
    os.mkfifo(path)


def make_socket(path: bytes, _chance: random.Random) -> None:
    """Make a socket that nobody listens to; its path may be longer than a socket's address."""
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        place = b"/proc/self/fd/%d/" % descriptor
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place + b"socket in the making")
        os.rename(place + b"socket in the making", path)
    finally:
        os.close(descriptor)


def make_device(path: bytes, chance: random.Random) -> None:
    """Make a device node."""
    kind = chance.choice([stat.S_IFCHR, stat.S_IFBLK])
    os.mknod(path, kind | 0o600, os.makedev(chance.randrange(1, 300), chance.randrange(100_000)))


KINDS: dict[bytes, Maker] = {
    b"regular": make_regular,
    b"sparse": make_sparse,
    b"link": make_link,
    b"fifo": make_fifo,
    b"socket": make_socket,
}
ROOT_KINDS: dict[bytes, Maker] = {b"device": make_device}


class HostileTree:
    """Makes things below a folder. With `is_root`, also what only root can make."""

    def __init__(self, folder: bytes, chance: random.Random, *, is_root: bool) -> None:
        self._folder = folder
        self._chance = chance
        self._is_root = is_root
        self._kinds = KINDS | (ROOT_KINDS if is_root else {})

    def make_everything(self) -> None:
        """Make each kind with each property that section 3 of the reliability rules names."""
        makers = (
            self._make_kinds,
            self._make_names,
            self._make_holes,
            self._make_xattrs,
            self._make_acls,
            self._make_modes,
            self._make_times,
            self._make_flags,
            self._make_deep,
        )
        for make in makers:
            folder = self._folder + b"/" + make.__name__.removeprefix("_make_").encode()
            os.mkdir(folder)
            make(folder)

    def _make_kinds(self, folder: bytes) -> None:
        """Each kind, with hard links in other directories; two links of a link keep its own target."""
        os.mkdir(folder + b"/other")
        os.mkdir(folder + b"/empty")
        for kind, make in self._kinds.items():
            for number in range(3):
                path = folder + b"/%b%d" % (kind, number)
                make(path, self._chance)
                if number:
                    os.link(path, folder + b"/other/again %b%d" % (kind, number), follow_symlinks=False)
                    os.link(path, folder + b"/%b%d again" % (kind, number), follow_symlinks=False)

    def _make_names(self, folder: bytes) -> None:
        for name in NAMES:
            write(folder + b"/" + name, b"content of " + name)
            os.makedirs(folder + b"/directories/" + name)
            write(folder + b"/directories/" + name + b"/" + name, name * 10)

    def _make_holes(self, folder: bytes) -> None:
        """Holes at the start, in the middle, at the end; nothing but a hole; zeros that are none; data at odd offsets."""
        shapes: dict[bytes, tuple[list[tuple[int, bytes]], int]] = {
            b"start": ([(5 << 20, b"end" * 1000)], 5 * (1 << 20) + 3000),
            b"middle": ([(0, b"a" * BLOCK), (3 << 20, b"b" * BLOCK)], 4 << 20),
            b"end": ([(0, b"a" * 10)], 3 << 20),
            b"all": ([], (2 << 20) + 17),
            b"zeros": ([(0, bytes(2 << 20))], 2 << 20),
            b"zeros between": ([(1 << 20, bytes(1 << 20)), (4 << 20, b"x" * 12_345)], 6 << 20),
            b"odd": ([(12_345, b"x"), (1_234_567, b"y" * 3), (3_000_001, b"z" * 70_000)], 3_456_789),
            b"one block": ([(8192, b"x" * 4096)], 16_384),
        }
        for name, (ranges, size) in shapes.items():
            with open(folder + b"/" + name, "wb") as file:
                for offset, content in ranges:
                    file.seek(offset)
                    file.write(content)
                file.truncate(size)

    def _make_xattrs(self, folder: bytes) -> None:
        for place in (b"file", b"directory"):
            path = folder + b"/" + place
            if place == b"file":
                write(path, b"x")
            else:
                os.mkdir(path)
            os.setxattr(path, b"user.plain", b"value")
            os.setxattr(path, b"user.\xff\xfe name", b"\x00\xff")
            os.setxattr(path, b"user.empty", b"")
        write(folder + b"/large", b"x")
        try:
            os.setxattr(folder + b"/large", b"user.large", self._chance.randbytes(60_000))
        except OSError:
            os.setxattr(folder + b"/large", b"user.large", self._chance.randbytes(3_000))
        if self._is_root:
            for kind, make in self._kinds.items():
                path = folder + b"/trusted " + kind
                make(path, self._chance)
                os.setxattr(path, b"trusted.\xff", b"kept", follow_symlinks=False)

    def _make_acls(self, folder: bytes) -> None:
        """ACLs of files and directories; below one with a default ACL, files that have none."""
        for name, rules in ((b"user", OWNER_AND_A_USER), (b"group", A_GROUP)):
            write(folder + b"/" + name, b"x")
            os.setxattr(folder + b"/" + name, ACL_ACCESS, rules)
            os.mkdir(folder + b"/of " + name)
            os.setxattr(folder + b"/of " + name, ACL_DEFAULT, rules)
            os.setxattr(folder + b"/of " + name, ACL_ACCESS, rules)
            os.mkdir(folder + b"/of " + name + b"/inherits")
            write(folder + b"/of " + name + b"/without", b"x")
            os.removexattr(folder + b"/of " + name + b"/without", ACL_ACCESS)
            os.mkdir(folder + b"/of " + name + b"/directory without")
            for each in (ACL_ACCESS, ACL_DEFAULT):
                os.removexattr(folder + b"/of " + name + b"/directory without", each)

    def _make_modes(self, folder: bytes) -> None:
        for mode in MODES:
            write(folder + b"/file %o" % mode, b"content")
            os.mkdir(folder + b"/directory %o" % mode)
            write(folder + b"/directory %o/below" % mode, b"content")
            if self._is_root:
                os.chown(folder + b"/file %o" % mode, 12_345, 54_321)
                os.chown(folder + b"/directory %o" % mode, 12_345, 0)
            os.chmod(folder + b"/file %o" % mode, mode)
            if not os.access(folder + b"/file %o" % mode, os.R_OK, effective_ids=True):
                # Who may not read it can neither back it up nor compare it.
                os.chmod(folder + b"/file %o" % mode, mode | 0o400)
            # Who is not root could not list it, nor remove it.
            os.chmod(folder + b"/directory %o" % mode, mode if self._is_root else mode | 0o700)

    def _make_times(self, folder: bytes) -> None:
        for number, time_ns in enumerate(TIMES_NS):
            write(folder + b"/file %d" % number, b"content")
            os.mkdir(folder + b"/directory %d" % number)
            write(folder + b"/directory %d/below" % number, b"content")
            os.symlink(b"file", folder + b"/link %d" % number)
            os.mkfifo(folder + b"/fifo %d" % number)
            for kind in (b"file", b"directory", b"link", b"fifo"):
                os.utime(folder + b"/%b %d" % (kind, number), ns=(time_ns, time_ns), follow_symlinks=False)

    def _make_flags(self, folder: bytes) -> None:
        os.mkdir(folder + b"/directory")
        for name in (b"file", b"linked", b"directory/below", b"append"):
            write(folder + b"/" + name, b"content")
        os.link(folder + b"/linked", folder + b"/linked again")
        for name in (b"file", b"linked", b"directory"):
            set_flags(folder + b"/" + name, FLAG_NODUMP | FLAG_NOATIME)
        if self._is_root:
            os.mkdir(folder + b"/kept")
            write(folder + b"/kept/below", b"content")
            set_flags(folder + b"/append", FLAG_APPEND)
            set_flags(folder + b"/kept/below", FLAG_IMMUTABLE)
            set_flags(folder + b"/kept", FLAG_APPEND | FLAG_NODUMP)

    def _make_deep(self, folder: bytes) -> None:
        """A path of more than 4,096 bytes."""
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(DEEP_LEVELS):
            name = b"%d " % number + b"d" * 200
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        place = b"/proc/self/fd/%d/" % here
        write(place + b"file", b"deep down")
        os.setxattr(place + b"file", b"user.deep", b"down")
        os.symlink(b"file", place + b"link")
        os.link(place + b"file", place + b"hard link")
        os.utime(place + b"file", ns=(-5, -5))
        os.close(here)

    def make_random(self, depth: int = 0, folder: bytes = b"") -> None:
        """Make anything, in combinations that nobody thought of."""
        folder = folder or self._folder
        made: list[bytes] = []
        for name in self._chance.sample(NAMES, self._chance.randrange(1, len(NAMES))):
            path = folder + b"/" + name
            if depth < 3 and self._chance.random() < 0.3:
                os.mkdir(path)
                self.make_random(depth + 1, path)
            elif made and self._chance.random() < 0.2:
                os.link(self._chance.choice(made), path, follow_symlinks=False)
            else:
                self._chance.choice(list(self._kinds.values()))(path, self._chance)
                made.append(path)
            self._dress(path)

    def _dress(self, path: bytes) -> None:
        """Give a file, or a directory whose children are made, any metadata."""
        chance, mode = self._chance, os.lstat(path).st_mode
        if self._is_root:
            os.chown(path, chance.randrange(3), chance.randrange(3), follow_symlinks=False)
        if not stat.S_ISLNK(mode):
            os.chmod(path, chance.choice([*MODES, chance.randrange(0o10000)]) | (0 if self._is_root else 0o700))
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            if chance.random() < 0.3:
                os.setxattr(path, chance.choice([b"user.\xff", b"user.a", b"user.b"]), chance.randbytes(20))
            if chance.random() < 0.3:
                os.setxattr(path, ACL_ACCESS, chance.choice([OWNER_AND_A_USER, A_GROUP]))
            if stat.S_ISDIR(mode) and chance.random() < 0.3:
                os.setxattr(path, ACL_DEFAULT, chance.choice([OWNER_AND_A_USER, A_GROUP]))
        if self._is_root and chance.random() < 0.2:
            with suppress(OSError):
                os.setxattr(path, b"trusted.\xfe", chance.randbytes(8), follow_symlinks=False)
        time_ns = chance.choice(TIMES_NS)
        os.utime(path, ns=(time_ns, time_ns), follow_symlinks=False)
        if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and chance.random() < 0.1:
            set_flags(path, chance.choice([FLAG_NODUMP, FLAG_NOATIME]))


if __name__ == "__main__":
    os.umask(0o022)
    HostileTree(os.fsencode(sys.argv[1]), random.Random(7), is_root=sys.argv[2] == "1").make_everything()
