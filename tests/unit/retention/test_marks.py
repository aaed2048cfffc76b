from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tallac.dag import Entry, is_held, mark_of
from tallac.errors import EntryNotFoundError, UsageError
from tallac.retention.marks import TagChange, hold, tag
from tallac.retention.target import facts_of

if TYPE_CHECKING:
    from tests.unit.retention.conftest import Bench


def change(bench: Bench, name: bytes, given: TagChange) -> Entry:
    """Tag, and give the entry as it is stored."""
    [entry] = tag(bench.grid, bench.target, [name], given, bench.clock)
    assert entry == bench.entry(name)
    return entry


def test_tags(bench: Bench) -> None:
    """Tags are added once each, removed and replaced; all other facts stay."""
    name = bench.enter(bench.clock.now_ns(), tags=("a",))
    before = facts_of(bench.entry(name))
    assert facts_of(change(bench, name, TagChange(add=("b", "a")))).tags == ("a", "b")
    assert facts_of(change(bench, name, TagChange(remove=("a", "c")))).tags == ("b",)
    assert facts_of(change(bench, name, TagChange(replacement=("x", "y")))).tags == ("x", "y")
    assert facts_of(change(bench, name, TagChange(replacement=("a",)))) == before


def test_notes(bench: Bench) -> None:
    """A note comes and goes, beside a hold."""
    name = bench.enter(bench.clock.now_ns())
    before = bench.entry(name)
    hold(bench.grid, bench.target, [name], "why", bench.clock)
    assert mark_of(change(bench, name, TagChange(note="as sent")), "note") == "as sent"
    entry = change(bench, name, TagChange(note=""))
    assert (mark_of(entry, "note"), mark_of(entry, "held"), is_held(entry)) == (None, "why", True)
    assert not is_held(before)


def test_latest_has_the_same_marks(bench: Bench) -> None:
    """`Latest` shows the newest snapshot's metadata as it is now."""
    name = bench.enter(bench.clock.now_ns())
    change(bench, name, TagChange(add=("a",), note="n"))
    latest = bench.latest()
    assert latest is not None
    assert latest.metadata == bench.entry(name).metadata


def test_a_dry_run_changes_nothing(bench: Bench) -> None:
    """It shows what would be, and leaves the target alone."""
    name = bench.enter(bench.clock.now_ns())
    before = bench.entry(name)
    [shown] = tag(bench.grid, bench.target, [name], TagChange(add=("a",)), bench.clock, dry_run=True)
    assert facts_of(shown).tags == ("a",)
    assert bench.entry(name) == before


@pytest.mark.parametrize("word", ["", " a", "a,b", "a\n", "x" * 201])
def test_what_is_no_tag(bench: Bench, word: str) -> None:
    """A word that could not be written in a list is no tag."""
    name = bench.enter(bench.clock.now_ns())
    with pytest.raises(UsageError, match="tag"):
        tag(bench.grid, bench.target, [name], TagChange(add=(word,)), bench.clock)


def test_names_that_are_not_there(bench: Bench) -> None:
    """One name that is missing, and none is changed."""
    name = bench.enter(bench.clock.now_ns())
    with pytest.raises(EntryNotFoundError):
        hold(bench.grid, bench.target, [name, b"other"], "", bench.clock)
    with pytest.raises(UsageError, match="characters"):
        hold(bench.grid, bench.target, [name], "x" * 5000, bench.clock)
    assert not is_held(bench.entry(name))
