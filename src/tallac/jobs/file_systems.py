"""Snapshots of file systems, from which sources are read: taken before a backup, removed after it.

The snapshots, and what else is mounted below the sources, are mounted together in a private folder, under the sources' own paths.
They are in a mount namespace of this process alone, so nobody else sees them, and they end with it, however it ends.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from tallac.errors import SourceError
from tallac.jobs.commands import run_command

_CLONE_NEW_NAMESPACE = 0x0002_0000
_SECONDS = 600.0
_TABLE = Path("/proc/self/mountinfo")
_BTRFS_SUBVOLUME_INODE = 256

OWN_PREFIX = ".tallac-"
"""The beginning of the names of our snapshots in subvolumes."""


class Mounted(NamedTuple):
    """A file system where it is mounted: its folder, its kind as the kernel names it, and what is mounted."""

    folder: str
    kind: str
    what: str


class Part(msgspec.Struct, frozen=True):
    """A folder of the machine, and where it is read.

    Attributes:
        folder: Its path.
        place: Where its content as of the snapshot is; the folder itself where there is none.
    """

    folder: str
    place: str


class View(msgspec.Struct, frozen=True):
    """The sources as they were at one moment.

    Attributes:
        root: A folder that has them under their absolute paths.
    """

    root: str

    def place(self, path: str | bytes) -> bytes:
        """Return where an absolute path is in this view."""
        return os.path.join(os.fsencode(self.root), os.fsencode(path).lstrip(b"/"))


Run = Callable[[Sequence[str]], str]
"""Runs a command and returns what it prints."""


def run_program(command: Sequence[str]) -> str:
    """Run a command of the system.

    Raises:
        SourceError: It failed.
    """
    with tempfile.TemporaryFile() as output:
        run_command(list(command), seconds=_SECONDS, name=" ".join(command[:3]), output=output)
        output.seek(0)
        return output.read().decode("utf-8", "surrogateescape")


@contextmanager
def snapshot_view(
    kind: str, sources: Sequence[str], name: str, *, one_file_system: bool = False, run: Run = run_program
) -> Iterator[View]:
    """Show sources as of one moment for the length of a block.

    What an earlier run has left behind under the same name is removed first.

    Args:
        kind: `btrfs`, `zfs` or `lvm`.
        sources: Absolute paths without symbolic links.
        name: What snapshots are called by, behind `tallac-`.
        one_file_system: What is mounted below the sources, and subvolumes in there, is left out of the view.
        run: Runs the commands.

    Raises:
        SourceError: This is not root on Linux, no source is on such a file system, or a command failed.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        raise SourceError(
            "snapshots of file systems need root on Linux; put the job into /etc/tallac/jobs.toml, or leave out `snapshot`"
        )
    mounted = read_mounts(_TABLE.read_text("utf-8", "surrogateescape"))
    taker = _TAKERS[kind](f"tallac-{name}", run)
    with ExitStack() as stack:
        taken: dict[str, str] = {}
        for source in sources:
            _take_parts(taker, source, mounted, taken, stack, is_alone=one_file_system)
        parts = [Part(folder, place) for folder, place in taken.items()]
        if all(part.folder == part.place for part in parts):
            kinds = ", ".join(sorted({_covering(source, mounted).kind for source in sources}))
            raise SourceError(f"{sources[0]}: not on {kind}, but on {kinds}; change `snapshot` of the job, or leave it out")
        yield stack.enter_context(_composed(sources, parts, run))


def read_mounts(table: str) -> list[Mounted]:
    """Read a table in the form of `/proc/PID/mountinfo` (proc(5)); of what is mounted over each other the last one is seen."""
    found: dict[str, Mounted] = {}
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        parts, behind = fields.split(" "), rest.split(" ")
        if len(parts) >= 5 and len(behind) >= 2:
            folder = _unescape(parts[4])
            found[folder] = Mounted(folder, behind[0], _unescape(behind[1]))
    return sorted(found.values())


class _Btrfs:
    """Read-only snapshots of subvolumes, each within its subvolume; one that lies in another is not in that one's snapshot."""

    kinds = ("btrfs",)

    def __init__(self, name: str, run: Run) -> None:
        self._name = f"{OWN_PREFIX}{name.removeprefix('tallac-')}"
        self._run = run

    def folders(self, source: str, covering: Mounted) -> list[str]:
        """Return the subvolume that a source is in, and those that lie below the source."""
        top = source
        while not _is_subvolume(top) and top != covering.folder:
            top = os.path.dirname(top)
        return [top, *(inner for inner in self._inner(top) if _is_below(inner, source) and inner != source)]

    def _inner(self, top: str) -> list[str]:
        """Return the subvolumes in another one, the outer first, save for our own snapshots."""
        way = self._run(["btrfs", "subvolume", "show", top]).split("\n")[0].strip().strip("/")
        beginning = f"{way}/" if way and not way.startswith("<") else ""
        found, left = [], [top]
        while left:
            # It lists those that lie in this very one, by their ways from the file system's top.
            for line in self._run(["btrfs", "subvolume", "list", "-o", left.pop()]).splitlines():
                folder = os.path.join(top, line.partition(" path ")[2].removeprefix(beginning))
                is_ours = os.path.basename(folder).startswith(OWN_PREFIX)
                if not is_ours and os.path.isdir(folder) and _is_subvolume(folder):
                    found.append(folder)
                    left.append(folder)
        return sorted(found)

    def take(self, folder: str, _mounted: Mounted, stack: ExitStack) -> str:
        """Make a snapshot of a subvolume, and return its folder."""
        place = os.path.join(folder, self._name)
        if os.path.lexists(place):
            self._run(["btrfs", "subvolume", "delete", place])
        self._run(["btrfs", "subvolume", "snapshot", "-r", folder, place])
        stack.callback(self._run, ["btrfs", "subvolume", "delete", place])
        return place


class _OfWholeMounts:
    """Snapshots of all that is mounted at a folder."""

    def __init__(self, name: str, run: Run) -> None:
        self._name = name
        self._run = run

    def folders(self, _source: str, covering: Mounted) -> list[str]:
        """Return that folder; what lies below it is mounted there."""
        return [covering.folder]


class _Zfs(_OfWholeMounts):
    """Snapshots of datasets, which ZFS shows below each one's own folder."""

    kinds = ("zfs",)

    def take(self, folder: str, mounted: Mounted, stack: ExitStack) -> str:
        """Make a snapshot of a dataset, and return its folder."""
        snapshot = f"{mounted.what}@{self._name}"
        if snapshot in self._run(["zfs", "list", "-H", "-t", "snapshot", "-o", "name", mounted.what]).split("\n"):
            self._run(["zfs", "destroy", snapshot])
        self._run(["zfs", "snapshot", snapshot])
        stack.callback(self._run, ["zfs", "destroy", snapshot])
        return os.path.join(folder, ".zfs", "snapshot", self._name)


class _Lvm(_OfWholeMounts):
    """Snapshots of logical volumes, mounted read-only."""

    kinds = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "reiserfs")

    def take(self, folder: str, mounted: Mounted, stack: ExitStack) -> str:
        """Make a snapshot of a volume, mount it, and return its folder; the folder itself where it is on no volume."""
        try:
            answer = self._run(["lvs", "--noheadings", "--separator", "/", "-o", "vg_name,lv_name,segtype", mounted.what])
        except SourceError:
            return folder
        group, volume, kind = answer.strip().split("\n")[0].strip().split("/")
        snapshot = f"{self._name}-{volume}"
        if snapshot in self._run(["lvs", "--noheadings", "-o", "lv_name", group]).split():
            self._run(["lvremove", "--yes", f"{group}/{snapshot}"])
        # A thin volume has room in its pool; of any other, as much as this may change while the backup runs.
        room = [] if kind == "thin" else ["--extents", "20%ORIGIN"]
        self._run(["lvcreate", "--snapshot", "--name", snapshot, *room, f"{group}/{volume}"])
        stack.callback(self._run, ["lvremove", "--yes", f"{group}/{snapshot}"])
        if kind == "thin":
            self._run(["lvchange", "--activate", "y", "--ignoreactivationskip", f"{group}/{snapshot}"])
        _enter_namespace()
        place = tempfile.mkdtemp(prefix="tallac-lvm-")
        stack.callback(os.rmdir, place)
        # XFS refuses a second file system of the same number.
        options = "ro,nouuid" if mounted.kind == "xfs" else "ro"
        self._run(["mount", "-t", mounted.kind, "-o", options, f"/dev/{group}/{snapshot}", place])
        stack.callback(self._run, ["umount", place])
        return place


_Taker = _Btrfs | _Zfs | _Lvm
_TAKERS: dict[str, type[_Btrfs | _Zfs | _Lvm]] = {"btrfs": _Btrfs, "zfs": _Zfs, "lvm": _Lvm}


def _take_parts(
    taker: _Taker, source: str, mounted: Sequence[Mounted], taken: dict[str, str], stack: ExitStack, *, is_alone: bool
) -> None:
    """Take snapshots of what a source consists of: the folder that it is in, and all that is mounted below it.

    `taken` gets the place of each of these folders; those that are in it are not taken again.
    """
    covering = _covering(source, mounted)
    below = [] if is_alone else [each for each in mounted if _is_below(each.folder, source) and each.folder != source]
    for each in [covering, *below]:
        if each.kind not in taker.kinds:
            taken.setdefault(each.folder, each.folder)
            continue
        start = source if each is covering else each.folder
        folders = taker.folders(start, each)
        for folder in folders[:1] if is_alone else folders:
            if folder not in taken:
                taken[folder] = taker.take(folder, each, stack)


@contextmanager
def _composed(sources: Sequence[str], parts: Sequence[Part], run: Run) -> Iterator[View]:
    """Mount the parts in a private folder as the sources' paths have them."""
    _enter_namespace()
    root = tempfile.mkdtemp(prefix="tallac-view-")
    made: list[str] = []
    mounts: list[str] = []
    try:
        _make_ways(root, sources, made)
        for source in sources:
            inner = [part for part in parts if _is_below(part.folder, source) and part.folder != source]
            outer = max((part for part in parts if _is_below(source, part.folder)), key=lambda part: len(part.folder))
            at = root + source if source != "/" else root
            _bind(os.path.join(outer.place, os.path.relpath(source, outer.folder)), at, mounts, run)
            for part in sorted(inner, key=lambda part: part.folder):
                # What lies in a folder that was not there at that moment has no place.
                if os.path.isdir(root + part.folder):
                    _bind(part.place, root + part.folder, mounts, run)
        yield View(root)
    finally:
        for place in reversed(mounts):
            with suppress(SourceError):
                run(["umount", "--lazy", place])
        for place in reversed(made):
            with suppress(OSError):
                os.rmdir(place) if os.path.isdir(place) else os.unlink(place)
        os.rmdir(root)


def _bind(place: str, at: str, mounts: list[str], run: Run) -> None:
    run(["mount", "--bind", place, at])
    mounts.append(at)


def _make_ways(root: str, sources: Sequence[str], made: list[str]) -> None:
    """Make the folders that lead to the sources, with the metadata of the real ones, which is in the backup as well."""
    for source in sources:
        way = ""
        for name in source.strip("/").split("/") if source != "/" else []:
            way = f"{way}/{name}"
            if os.path.lexists(root + way):
                continue
            if os.path.isdir(way):
                os.mkdir(root + way)
            else:
                os.close(os.open(root + way, os.O_CREAT | os.O_EXCL))
            made.append(root + way)
    for at in [*reversed(made), root]:
        real = os.stat(at.removeprefix(root) or "/")
        os.chown(at, real.st_uid, real.st_gid)
        os.chmod(at, stat.S_IMODE(real.st_mode))
        os.utime(at, ns=(real.st_atime_ns, real.st_mtime_ns))


_has_namespace = False


def _enter_namespace() -> None:
    """Enter a mount namespace of our own; what others mount appears in it, and what we mount does not appear to them.

    Raises:
        SourceError: The system does not allow it.
    """
    global _has_namespace  # noqa: PLW0603 - a process enters once, whatever it runs.
    if _has_namespace:
        return
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEW_NAMESPACE):
        raise SourceError(f"can't have mounts of our own ({os.strerror(ctypes.get_errno())}); leave out `snapshot` of the job")
    run_program(["mount", "--make-rslave", "/"])
    _has_namespace = True


def _covering(path: str, mounted: Sequence[Mounted]) -> Mounted:
    return max((each for each in mounted if _is_below(path, each.folder)), key=lambda each: len(each.folder))


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_subvolume(folder: str) -> bool:
    return os.stat(folder).st_ino == _BTRFS_SUBVOLUME_INODE


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
