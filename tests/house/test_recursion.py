"""No function calls itself, directly or by way of others: users' trees are deeper than Python's stack."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src" / "tallac"

# What goes down into something whose depth no user chooses, with the reason; or what a name alone takes for a call of itself.
_OTHER = "this is a method of the same name of another class"
_LEVELS = "a list has at most LEVEL_MAX levels, which its reader demands"
_ROUNDS = "the batches go through an executor in turns, a few of them at a time"
ALLOWED = {
    "backends/local.LocalBackend._make_folders": "an object's name has three parts at most",
    "backup/large_files.LargeFiles._complete": _ROUNDS,
    "backup/large_files.LargeFiles._hand_out": _ROUNDS,
    "backup/large_files.LargeFiles._read_as_small": _ROUNDS,
    "backup/large_files.LargeFiles._read_as_small.on_result": _ROUNDS,
    "backup/large_files.LargeFiles._stream": _ROUNDS,
    "backup/large_files.LargeFiles._submit": _ROUNDS,
    "backup/large_files.LargeFiles._take": _ROUNDS,
    "backup/large_files.LargeFiles.read": _ROUNDS,
    "gateway/grid_pool.GridPool.close": _OTHER,
    "vault/format/nodes.TreeBuilder._add": _LEVELS,
    "vault/format/nodes.TreeBuilder._close": _LEVELS,
    "vault/index/index.VaultIndex.close": _OTHER,
    "vault/index/index.VaultIndex.count": _OTHER,
    "vault/index/index.VaultIndex.number_of": _OTHER,
    "vault/index/index.VaultIndex.packs": _OTHER,
    "vault/packs/damaged.DamagedPacks._read": "a step is halved until it is a sector",
    "vault/packs/pack_writer.PackWriter.size": _OTHER,
    "vault/reading/files.VaultFiles.open_file": "a mutable file's content is none",
    "vault/reading/files._below": _LEVELS,
    "vault/writing/batch.VaultWriter._has_below": _LEVELS,
}


Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(module: str, tree: ast.AST) -> dict[str, tuple[Function, tuple[ast.AST, ...]]]:
    """Return all functions and methods of a module by qualified name, each with what it is in, from the module down."""
    found: dict[str, tuple[Function, tuple[ast.AST, ...]]] = {}
    waiting: list[tuple[str, ast.AST, tuple[ast.AST, ...]]] = [(module, tree, (tree,))]
    while waiting:
        prefix, node, scopes = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}"
                if not isinstance(child, ast.ClassDef):
                    found[name] = (child, scopes)
                waiting.append((name, child, (*scopes, child)))
            else:
                waiting.append((prefix, child, scopes))
    return found


def _bound(function: Function) -> set[str]:
    """Return the names that are a function's own variables, and so are no calls of functions around it."""
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return names | {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}


def _loop_variables(function: Function) -> set[str]:
    targets = [node.target for node in ast.walk(function) if isinstance(node, ast.For | ast.comprehension)]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def _mentions(name: str, function: Function, scopes: tuple[ast.AST, ...]) -> Iterator[str]:
    """Iterate over the qualified names that a function may mean: by a bare name, through `self`, or through what it loops over."""
    # What a bare name means: something in a function around, or in the module; never a method of the class around.
    parts = name.split(".")
    visible = [
        ".".join(parts[: len(parts) - depth])
        for depth, scope in enumerate((function, *reversed(scopes)))
        if not isinstance(scope, ast.ClassDef)
    ]
    methods_of = [
        ".".join(parts[: len(parts) - depth])
        for depth, scope in enumerate((function, *reversed(scopes)))
        if isinstance(scope, ast.ClassDef)
    ]
    bound, looped = _bound(function), _loop_variables(function)
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in bound:
            yield from (f"{place}.{node.id}" for place in visible)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in ("self", "cls"):
                yield from (f"{place}.{node.attr}" for place in methods_of)
            elif node.value.id in looped and node.attr == function.name:
                yield name


def _graph() -> dict[str, set[str]]:
    """Say which functions of its module each one may call."""
    graph: dict[str, set[str]] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        # What tests use has trees that tests write.
        if "testing" in path.parts:
            continue
        module = path.relative_to(SOURCES).with_suffix("").as_posix()
        functions = _functions(module, ast.parse(path.read_bytes()))
        for name, (function, scopes) in functions.items():
            graph[name] = {mentioned for mentioned in _mentions(name, function, scopes) if mentioned in functions}
    return graph


def recursive(graph: dict[str, set[str]]) -> set[str]:
    """Return the functions from which calls lead back to themselves."""
    back = set()
    for start, called in graph.items():
        waiting, seen = list(called), set()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        if start in seen:
            back.add(start)
    return back


def test_the_finder_finds() -> None:
    """A function that calls itself is found, and so are two that call each other; one that calls these is not."""
    assert recursive({"a": {"a"}, "b": {"c"}, "c": {"d"}, "d": {"b"}, "e": {"a", "b"}}) == {"a", "b", "c", "d"}


def test_nothing_recurses_on_what_users_have() -> None:
    """Each function that calls itself is in the list, with its reason, and nothing else is."""
    assert recursive(_graph()) == ALLOWED.keys()
