"""The directories on a Tahoe-LAFS grid that know a backend's objects: who enters what, and what is there."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from tallac.caps import ImmutableFile, LiteralFile, parse
from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import ConflictError, CorruptObjectError, MalformedCapError, ObjectNotFoundError, StorePermissionError
from tallac.interfaces import Version
from tallac.webapi import WebChild, WebClient

ROOT_FOLDER = "root"
WRITER_NAME = "written-through"

_MISSING = "tallac-gone"
_EMPTY = LiteralFile(b"").danger_whole_text()


class State(NamedTuple):
    """One state of one object: its number, its file's cap (None where it says that the object is gone) and its size."""

    number: int
    cap: str | None
    size: int

    @property
    def version(self) -> Version:
        """The version, which no other state has."""
        return b"%d:" % self.number + hash_file_bytes((self.cap or "").encode())


ABSENT = State(0, None, 0)


def last_of(states: Sequence[State] | None) -> State:
    """Return the state that counts among all of an object's."""
    return states[-1] if states else ABSENT


def number_of(version: Version) -> int | None:
    """Return the number of the state that has a version; None for anything that is no version."""
    number = version.partition(b":")[0]
    return int(number) if number.isdigit() else None


States = dict[str, list[State]]
"""By an object's name in its directory, in ascending order of their numbers; the last one counts."""


class StateDirectories:
    """A root, and below it a directory for each first part of a name. Thread-safe.

    A node enters a child only if there is none of its name, and does one thing at a time with a directory. So each state is entered
    once. That holds for one node; the root says through which one all is written.
    """

    def __init__(self, client: WebClient, root: str, node: str, where: str) -> None:
        """Use a root; nothing is asked yet.

        Args:
            client: The gateway.
            root: The root's write cap, a secret, or its read cap.
            node: Which node that is.
            where: How the place is shown.
        """
        self._client = client
        self._root = root
        self._node = node
        self._where = where
        self._lock = threading.RLock()
        self._caps: dict[str, str] = {}
        self._seen: dict[str, States] = {}
        self._seen_at: dict[str, int] = {}
        self._times = count(1)
        self._writer: WebChild | None = None

    def names(self) -> list[str]:
        """List the directories as they are now."""
        with self._lock:
            self._look_at_root()
            return list(self._caps)

    def is_empty(self) -> bool:
        """Whether nothing at all is in the root."""
        return not self._client.look(self._root, where=self._where).children

    def make(self, folder: str) -> str:
        """Return a directory's cap, and make it where it is missing."""
        with self._lock:
            return self._find(folder) or self._make(folder)

    def read(self, folder: str) -> States:
        """Read a directory as it is now; one that is missing is empty."""
        with self._lock:
            cap, asked_at = self._find(folder), next(self._times)
        if cap is None:
            return {}
        stored = self._client.look(cap, where=f"{self._where}: {folder}")
        states: States = {}
        for child_name, child in stored.children.items():
            name, at, number = child_name.rpartition("@")
            if at and number.isdecimal():
                states.setdefault(name.replace("!", "/"), []).append(_state(int(number), child, f"{self._where}: {folder}"))
        for found in states.values():
            found.sort()
        with self._lock:
            # Of two threads' answers the older one may come last.
            if asked_at > self._seen_at.get(folder, 0):
                self._seen[folder], self._seen_at[folder] = states, asked_at
        return states

    def has_seen(self, folder: str) -> bool:
        """Whether a directory was read by now."""
        with self._lock:
            return folder in self._seen_at

    def seen(self, folder: str, name: str) -> State:
        """Return the state of an object that was seen last, without asking the node."""
        with self._lock:
            return last_of(self._seen.get(folder, {}).get(name))

    def enter(self, folder: str, name: str, state: State) -> bool:
        """Enter a state; False where one of its number is there already."""
        return self.enter_all(folder, {name: state})

    def enter_all(self, folder: str, entered: Mapping[str, State]) -> bool:
        """Enter states of several objects together; False where one of their numbers is there already, and then none is entered."""
        children = {_child_name(name, state): _child(state) for name, state in entered.items()}
        try:
            self._client.set_children(self.make(folder), children, where=f"{self._where}: {folder}", replace=False)
        except ConflictError:
            return False
        with self._lock:
            seen = self._seen.setdefault(folder, {})
            for name, state in entered.items():
                seen[name] = sorted([*seen.get(name, []), state])
        return True

    def remove(self, folder: str, name: str, state: State) -> None:
        """Remove a state; one that is gone already is no error."""
        with suppress(ObjectNotFoundError):
            self._client.unlink(self.make(folder), _child_name(name, state), where=f"{self._where}: {folder}/{name}")
        with self._lock:
            seen = self._seen.get(folder, {})
            if name in seen:
                seen[name] = [other for other in seen[name] if other.number != state.number]

    def become_writer(self) -> None:
        """Make sure that all is written through one node.

        Raises:
            StorePermissionError: It is another one.
        """
        with self._lock:
            if self._writer is None:
                self._look_at_root()
            if self._writer is None:
                own = WebChild("filenode", _EMPTY, None, {"node": self._node})
                with suppress(ConflictError):
                    self._client.set_children(self._root, {WRITER_NAME: own}, where=self._where, replace=False)
                self._writer = self._look_at_root()[WRITER_NAME]
            if self._writer.metadata.get("node") != self._node:
                self._writer = None  # It may be gone the next time.
                raise StorePermissionError(
                    f"{self._where}: this vault is written through another Tahoe-LAFS node, and two would lose each other's "
                    f"changes; use that node, or, if it is gone for ever, unlink {WRITER_NAME!r} in the vault's directory"
                )

    def _find(self, folder: str) -> str | None:
        if folder not in self._caps:
            self._look_at_root()
        return self._caps.get(folder)

    def _look_at_root(self) -> Mapping[str, WebChild]:
        children = self._client.look(self._root, where=self._where).children
        for name, child in children.items():
            cap = child.write or child.read
            if name != WRITER_NAME and cap is not None:
                self._caps[name] = cap
        self._writer = children.get(WRITER_NAME)
        return children

    def _make(self, folder: str) -> str:
        made = self._client.make_directory("SDMF")
        try:
            self._client.set_children(self._root, {folder: WebChild("dirnode", None, made, {})}, where=self._where, replace=False)
        except ConflictError:
            # Somebody else was faster; theirs is used.
            self._look_at_root()
        return self._caps.setdefault(folder, made)


def _child_name(name: str, state: State) -> str:
    return f"{name.replace('/', '!')}@{state.number}"


def _child(state: State) -> WebChild:
    metadata: dict[str, object] = {_MISSING: True} if state.cap is None else {}
    return WebChild("filenode", state.cap or _EMPTY, None, metadata)


def _state(number: int, child: WebChild, where: str) -> State:
    if child.metadata.get(_MISSING) is True or child.read is None:
        return State(number, None, 0)
    try:
        cap = parse(child.read)
    except MalformedCapError as error:
        raise CorruptObjectError(f"{where}: an object's cap there is damaged; check this vault") from error
    if isinstance(cap, ImmutableFile | LiteralFile):
        return State(number, child.read, cap.size)
    raise CorruptObjectError(f"{where}: something that is no immutable file is there; check this vault")
