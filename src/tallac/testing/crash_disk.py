"""A disk that loses power: what was synced survives, and of the rest an unpredictable part.

The file calls go through to a real folder, and a log records what a disk must keep and what it may lose. The bytes of a file are
safe once the file was synced; a name is safe once its folder was synced. POSIX promises no more. After the crash, the surviving
state can be inspected, or written to another folder.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tallac.file_calls import FOLDER_MODE, REAL, FileCalls
from tallac.testing.crashing_backend import SimulatedCrash
from tallac.testing.file_calls import CHANGES, FileCall, WatchedFileCalls


class Survival(Enum):
    """How much of what was not synced survives the crash."""

    ALL = "all"
    """Everything: only the program was killed."""
    NONE = "none"
    """Nothing."""
    NAMES = "names"
    """Every name, and of each file's bytes those that were synced."""
    RANDOM = "random"
    """Each name or not; each file's bytes as a whole, cut short, as zeros or not at all."""


@dataclass(slots=True)
class DiskFile:
    """A file's bytes: all that were written, and those that were synced."""

    content: bytearray = field(default_factory=bytearray)
    synced: bytes = b""


_FOLDER = "folder"
_Target = DiskFile | str | None
Names = dict[str, dict[str, _Target]]
"""By folder, what each name in it leads to."""


@dataclass(slots=True)
class _NameChange:
    """From this moment, a name in a folder refers to this file, a folder (`_FOLDER`), or nothing."""

    folder: str
    name: str
    target: _Target
    is_synced: bool = False


@dataclass(slots=True)
class SurvivingState:
    """The contents of a disk after the crash.

    Attributes:
        files: Contents by path relative to the disk's folder.
        folders: Relative paths of all folders below it.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    def write_to(self, folder: Path) -> None:
        """Write the state into a folder, which is created."""
        folder.mkdir(mode=FOLDER_MODE)
        for path in self.folders:
            (folder / path).mkdir(mode=FOLDER_MODE)
        for path, content in self.files.items():
            (folder / path).write_bytes(content)

    def objects(self) -> dict[str, bytes]:
        """Return the objects of a `LocalBackend` in this state by name, for a `MemoryBackend`."""
        return {path: content for path, content in self.files.items() if not path.startswith(".") and "/." not in path}


class CrashDisk(WatchedFileCalls):
    """File calls on an empty folder that end with a crash. With several threads, the log may reorder simultaneous calls.

    There is a boundary before each call that changes the disk. From the crash on, each call raises `SimulatedCrash`; only
    descriptors can be closed and locks released.
    """

    def __init__(self, folder: Path, crash_at: int | None = None, inner: FileCalls = REAL) -> None:
        """Crash at the boundary of this number, from 0, or never if it is None; `boundaries` counts those that were passed."""
        super().__init__(inner)
        self._folder = os.path.abspath(folder)
        self._crash_at = crash_at
        self._is_dead = False
        self._files: dict[str, DiskFile] = {}
        self._changes: list[_NameChange] = []
        self.boundaries = 0

    def before(self, call: FileCall) -> None:
        if call.name in {"close", "unlock"}:
            return
        with self._lock:
            if call.name in CHANGES and not self._is_dead:
                self._is_dead = self.boundaries == self._crash_at
                self.boundaries += not self._is_dead
            if self._is_dead:
                raise SimulatedCrash

    def after(self, call: FileCall, data: bytes = b"") -> None:
        with self._lock:
            log = self._log_entry(call.name)
            if log is not None:
                log(call, data)

    def _log_entry(self, name: str) -> Callable[[FileCall, bytes], None] | None:
        return {
            "create": self._log_create,
            "write": self._log_write,
            "fsync": self._log_sync,
            "fdatasync": self._log_sync,
            "sync_folder": self._log_sync_folder,
            "rename": self._log_rename,
            "link": self._log_link,
            "unlink": self._log_unlink,
            "mkdir": self._log_mkdir,
        }.get(name)

    def _log_create(self, call: FileCall, _data: bytes) -> None:
        if call.path not in self._files:
            self._files[call.path] = DiskFile()
            self._change(call.path, self._files[call.path])

    def _log_write(self, call: FileCall, data: bytes) -> None:
        self._files[call.path].content += data

    def _log_sync(self, call: FileCall, _data: bytes) -> None:
        file = self._files[call.path]
        file.synced = bytes(file.content)

    def _log_sync_folder(self, call: FileCall, _data: bytes) -> None:
        for change in self._changes:
            if change.folder == call.path:
                change.is_synced = True

    def _log_rename(self, call: FileCall, _data: bytes) -> None:
        # Two folders are two places on the disk: either half of the rename may survive without the other.
        file = self._files.pop(call.path)
        self._files[call.destination] = file
        self._change(call.destination, file)
        self._change(call.path, None)

    def _log_link(self, call: FileCall, _data: bytes) -> None:
        self._files[call.destination] = self._files[call.path]
        self._change(call.destination, self._files[call.path])

    def _log_unlink(self, call: FileCall, _data: bytes) -> None:
        del self._files[call.path]
        self._change(call.path, None)

    def _log_mkdir(self, call: FileCall, _data: bytes) -> None:
        self._change(call.path, _FOLDER)

    def _change(self, path: str, target: _Target) -> None:
        folder, name = os.path.split(path)
        self._changes.append(_NameChange(folder, name, target))

    def surviving(self, survival: Survival, seed: int = 0) -> SurvivingState:
        """Return the contents of the disk when the power comes back; the seed decides what is left to chance."""
        chance = random.Random(seed)  # noqa: S311 - foreseeable on purpose
        names: Names = {}
        with self._lock:
            for change in self._changes:
                if (
                    change.is_synced
                    or survival in (Survival.ALL, Survival.NAMES)
                    or (survival is Survival.RANDOM and chance.random() < 0.5)
                ):
                    names.setdefault(change.folder, {})[change.name] = change.target
            if survival is not Survival.ALL:
                self._repair(names)
            contents = {id(file): _surviving_content(file, survival, chance) for file in self._all_files()}
        state = SurvivingState()
        self._collect(self._folder, "", names, contents, state)
        return state

    def _repair(self, names: Names) -> None:
        """Do to the names that have survived what a repair of the disk does before it is mounted: with a journal, nothing."""

    def _all_files(self) -> list[DiskFile]:
        files = {id(change.target): change.target for change in self._changes if isinstance(change.target, DiskFile)}
        return list(files.values())

    def _collect(self, folder: str, above: str, names: Names, contents: dict[int, bytes], state: SurvivingState) -> None:
        for name, target in names.get(folder, {}).items():
            path = above + name
            if isinstance(target, DiskFile):
                state.files[path] = contents.get(id(target), b"")
            elif target is not None:
                state.folders.append(path)
                self._collect(os.path.join(folder, name), path + "/", names, contents, state)


def _surviving_content(file: DiskFile, survival: Survival, chance: random.Random) -> bytes:
    written = bytes(file.content)
    if survival is Survival.ALL or written == file.synced:
        return written
    if survival in (Survival.NONE, Survival.NAMES):
        return file.synced
    end = chance.randint(len(file.synced), len(written))
    # The new size may be on the disk before the bytes are: they read as zeros.
    zeros = chance.choice((0, len(written) - end))
    return chance.choice((written, written[:end] + bytes(zeros), file.synced))
