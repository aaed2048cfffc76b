from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tallac.caps import DirectoryReadCap
from tallac.dag import Entry
from tallac.errors import EntryError, EntryNotFoundError, FencedError
from tallac.retention.marks import hold
from tallac.retention.rewrite import Removed, Rewritten, rewrite
from tallac.retention.target import facts_of

if TYPE_CHECKING:
    from tests.unit.retention.conftest import Bench


def without_secrets(path: bytes, is_directory: bool) -> bool:
    """Take the secret out."""
    return path == b"deep/secret" and not is_directory


def run(bench: Bench, *names: bytes, dry_run: bool = False) -> list[Rewritten]:
    """Rewrite."""
    return rewrite(bench.grid, bench.target, names, without_secrets, bench.record, bench.clock, dry_run=dry_run)


def paths(bench: Bench, entry: Entry, before: bytes = b"") -> dict[bytes, bytes]:
    """List all that is below, with the caps."""
    found = {}
    assert isinstance(entry.cap, DirectoryReadCap)
    for child in bench.grid.read_directory(entry.cap):
        found[before + child.name] = child.encoded
        if child.is_directory:
            found |= paths(bench, child, before + child.name + b"/")
    return found


def test_a_path_goes_and_all_else_stays(bench: Bench) -> None:
    """What was taken out is gone from each snapshot; names, files and counts are right, and `Latest` with them."""
    names = bench.enter_days(3)
    before = {name: paths(bench, bench.entry(name)) for name in names}
    rewritten = run(bench)
    assert [(found.name, found.removed, found.paths) for found in rewritten] == [
        (name, Removed(files=1, size=100), [b"deep/secret"]) for name in names
    ]
    assert bench.names() == names
    for name in names:
        after = paths(bench, bench.entry(name))
        assert set(before[name]) - set(after) == {b"deep/secret"}
        assert {path for path in after if after[path] != before[name][path]} == {b"deep"}
        facts = facts_of(bench.entry(name))
        assert (facts.files, facts.directories) == (2, 1)
    latest = bench.latest()
    assert latest is not None
    assert latest.encoded == bench.entry(names[-1]).encoded
    assert run(bench) == []


def test_one_snapshot(bench: Bench) -> None:
    """Only what is named changes."""
    names = bench.enter_days(2)
    untouched = bench.entry(names[1])
    assert [found.name for found in run(bench, names[0])] == names[:1]
    assert bench.entry(names[1]) == untouched
    with pytest.raises(EntryNotFoundError):
        run(bench, b"other")


def test_a_directory_goes_with_all_below(bench: Bench) -> None:
    """A directory that is taken out is counted with what was in it."""
    [name] = bench.enter_days(1)
    found = rewrite(bench.grid, bench.target, [], lambda path, _: path == b"deep", bench.record, bench.clock)
    assert found[0].removed == Removed(files=2, directories=1, size=200)
    assert list(paths(bench, bench.entry(name))) == [b"file"]


def test_a_dry_run_stores_nothing(bench: Bench) -> None:
    """It says what would go and touches nothing."""
    names = bench.enter_days(2)
    before = bench.target.read(bench.grid)
    bench.grid.events.clear()
    assert [found.paths for found in run(bench, dry_run=True)] == [[b"deep/secret"]] * 2
    assert bench.target.read(bench.grid) == before
    assert set(bench.grid.events) == {"read_directory"}
    assert bench.names() == names


def test_what_is_held_is_not_rewritten(bench: Bench) -> None:
    """A held snapshot that would change stops the whole, before anything has changed."""
    names = bench.enter_days(2)
    hold(bench.grid, bench.target, names[1:], "", bench.clock)
    before = bench.target.read(bench.grid)
    with pytest.raises(EntryError, match="held"):
        run(bench)
    assert bench.target.read(bench.grid) == before


def test_the_order_of_writes(bench: Bench) -> None:
    """All is durable and committed before the first snapshot changes; a fenced run is run again, once."""
    bench.enter_days(1)
    bench.grid.fences = 1
    bench.grid.events.clear()
    run(bench)
    events = [event for event in bench.grid.events if event in ("written", "commit", "edit")]
    assert events == ["written", "written", "commit", "edit", "edit"]
    bench.enter(bench.clock.now_ns() + 1_000_000_000)
    bench.grid.fences = 2
    with pytest.raises(FencedError):
        run(bench)


def test_a_rewritten_snapshot_keeps_its_place_in_time(bench: Bench) -> None:
    """It inherits when it was first seen."""
    [name] = bench.enter_days(1)
    first = bench.record.look(bench.target.fingerprint, bench.target.read(bench.grid), bench.clock.now_ns())
    bench.clock.advance(86_400)
    run(bench)
    later = bench.record.look(bench.target.fingerprint, bench.target.read(bench.grid), bench.clock.now_ns())
    assert later[name] == first[name]


def test_deep_trees(bench: Bench) -> None:
    """A tree may be deeper than the interpreter's stack."""
    with bench.grid.session() as session, session.writing() as writer:
        cap = writer.put_directory([Entry(b"secret", writer.put_small(b"x"))])
        for _ in range(3000):
            cap = writer.put_directory([Entry.of(b"d", cap)])
    entry = Entry.of(b"2026-01-01_00:00:00Z", cap)
    bench.grid.edit_directory(bench.target.archives, lambda _: [entry])
    found = rewrite(bench.grid, bench.target, [], lambda path, _: path.endswith(b"secret"), bench.record, bench.clock)
    assert found[0].removed == Removed(files=1, size=1)


def test_a_tag_that_comes_meanwhile_stays(bench: Bench) -> None:
    """Marks that others put on a snapshot while it is rewritten are there afterwards."""
    [name] = bench.enter_days(1)

    def hold_it() -> None:
        hold(bench.grid, bench.target, [name], "late", bench.clock)

    bench.grid.before_swap = hold_it
    run(bench)
    entry = bench.entry(name)
    assert entry.metadata.other == {"tallac": {"held": "late"}}
    assert b"deep/secret" not in paths(bench, entry)
