"""A user's whole life with one vault, as commands in any order, beside a model of it that is a dictionary of dictionaries."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.command import Tallac
from tests.in_memory import folder_in_memory
from tests.torture import SCALE

Tree = dict[str, bytes]

# One name is a file at times, and a directory at others.
PATHS = ("a", "a/y", "deep/er/file", "empty", "large", "ü")
CONTENTS = (b"", b"short", b"other", b"a kilobyte " * 100, bytes(range(256)) * 800, b"zeros" + bytes(2_000_000))
EXAMPLES = 8
EXAMPLES_LONG = 500 * SCALE
STEPS = 25

paths = st.sampled_from(PATHS)
choices = st.integers(0, 5)
has_snapshots = precondition(lambda machine: machine.snapshots)


class User(RuleBasedStateMachine):
    """Edits a source, and backs it up, restores, compares, forgets, holds and prunes.

    Attributes:
        files: What the source holds.
        snapshots: What each snapshot holds, the oldest first.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(folder_in_memory())
        self._tallac = Tallac(self._folder / "home")
        self._source = self._folder / "source"
        self._source.mkdir()
        self._held: set[str] = set()
        self.files: Tree = {}
        self.snapshots: dict[str, Tree] = {}

    def teardown(self) -> None:
        self._stack.close()

    def _pick(self, choice: int) -> str:
        return list(self.snapshots)[choice % len(self.snapshots)]

    @rule(path=paths, content=st.sampled_from(CONTENTS))
    def write(self, path: str, content: bytes) -> None:
        """Write a file, in place of whatever is in its way."""
        for other in [*self.files]:
            if path.startswith(f"{other}/") or other.startswith(f"{path}/"):
                del self.files[other]
        for parent in (self._source / path).relative_to(self._source).parents:
            if (self._source / parent).is_file():
                (self._source / parent).unlink()
        if (self._source / path).is_dir():
            shutil.rmtree(self._source / path)
        (self._source / path).parent.mkdir(parents=True, exist_ok=True)
        (self._source / path).write_bytes(content)
        self.files[path] = content

    @rule(path=paths)
    def remove(self, path: str) -> None:
        """Remove a file, where there is one."""
        if self.files.pop(path, None) is not None:
            (self._source / path).unlink()

    @rule()
    def back_up(self) -> None:
        """Make a snapshot."""
        name = json.loads(self._tallac("--json", "backup", self._source).lines[-1])["snapshot"]
        assert name not in self.snapshots
        self.snapshots[name] = dict(self.files)

    @has_snapshots
    @rule(choice=choices)
    def restore(self, choice: int) -> None:
        """Restore a snapshot, and find what was backed up."""
        name, out = self._pick(choice), self._folder / "out"
        self._tallac("-q", "restore", f"tallac:Archives/{name}", out)
        found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        shutil.rmtree(out)
        assert found == self.snapshots[name]

    @has_snapshots
    @rule(path=paths)
    def get(self, path: str) -> None:
        """Fetch one file of the latest snapshot, or be told that it is not there."""
        latest = self.snapshots[max(self.snapshots)]
        result = self._tallac("get", f"tallac:Latest/{path}", status=None)
        assert (result.status, result.out) == ((0, latest[path]) if path in latest else (1, b""))

    @has_snapshots
    @rule(one=choices, other=choices)
    def compare(self, one: int, other: int) -> None:
        """Compare two snapshots, and see the files that differ."""
        names = self._pick(one), self._pick(other)
        before, after = (self.snapshots[name] for name in names)
        *lines, _ = self._tallac("diff", "--json", "--content", *(f"tallac:Archives/{name}" for name in names)).lines
        found = {
            (record["path"], record.get("old_type") == "regular", record.get("new_type") == "regular")
            for record in map(json.loads, lines)
        }
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        assert {each for each in found if each[1] or each[2]} == {(path, path in before, path in after) for path in changed}

    @has_snapshots
    @rule(count=st.integers(1, 3))
    def forget_old(self, count: int) -> None:
        """Keep the newest, and what is held."""
        self._tallac("forget", "tallac:", "--keep-last", str(count))
        kept = self._held.union(sorted(self.snapshots)[-count:])
        self.snapshots = {name: tree for name, tree in self.snapshots.items() if name in kept}

    @has_snapshots
    @rule(choice=choices)
    def hold(self, choice: int) -> None:
        """Hold a snapshot, or release one that is held."""
        name = self._pick(choice)
        self._tallac("release" if name in self._held else "hold", "tallac:", name)
        self._held ^= {name}

    @has_snapshots
    @rule(unused=st.sampled_from(["0", "100%"]))
    def prune(self, unused: str) -> None:
        """Delete what nothing leads to."""
        self._tallac("-q", "prune", "--max-unused", unused, "tallac:")

    @has_snapshots
    @rule()
    def check(self) -> None:
        """Find nothing wrong."""
        self._tallac("-q", "check", "--read-data", "tallac:")

    @has_snapshots
    @invariant()
    def all_are_listed(self) -> None:
        """The list holds each snapshot, with the size of its files."""
        listed = [json.loads(line) for line in self._tallac("snapshots", "--json", "tallac:").lines]
        sizes = {name: sum(map(len, tree.values())) for name, tree in self.snapshots.items()}
        assert {record["snapshot"]: record["bytes"] for record in listed} == sizes
        assert {record["snapshot"] for record in listed if record["held"] is not None} == self._held & self.snapshots.keys()


def run(examples: int) -> None:
    """Try so many lives."""
    run_state_machine_as_test(User, settings=settings(max_examples=examples, stateful_step_count=STEPS))


def test_commands_do_what_a_dictionary_does() -> None:
    """Whatever commands a user runs, in whatever order, each snapshot holds what its source held then."""
    run(EXAMPLES)


@pytest.mark.torture
def test_many_lives() -> None:
    """The same holds for commands that are started as a user's are, and for as many orders as there is time for."""
    run(EXAMPLES_LONG)
