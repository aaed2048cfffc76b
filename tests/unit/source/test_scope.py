from __future__ import annotations

from tallac.source import Scope


def names(scope: Scope | None) -> object:
    """Write a scope as nested dicts."""
    return scope if scope is None else {name: names(below) for name, below in scope.below.items()}


def test_paths_become_a_tree() -> None:
    """Each name leads on to the next; the last one of a path is a source."""
    assert names(Scope.of([b"/a/b", b"/a/c/d", b"/e"])) == {b"a": {b"b": None, b"c": {b"d": None}}, b"e": None}


def test_a_path_below_a_source_adds_nothing() -> None:
    """In whatever order they come, the shorter path has it all."""
    assert names(Scope.of([b"/a/b/c", b"/a"])) == {b"a": None}
    assert names(Scope.of([b"/a", b"/a/b/c"])) == {b"a": None}


def test_the_root_needs_no_scope() -> None:
    """Where everything is a source, nothing leads there."""
    assert Scope.of([b"/a", b"/"]) is None
