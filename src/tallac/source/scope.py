"""Several sources at once: the paths that a user named, as a tree of names that lead to them."""

from __future__ import annotations

from collections.abc import Iterable


class Scope:
    """Which names of a directory lead to a source, or are one; nothing else in it is looked at.

    Attributes:
        below: By name, the same for that directory; None for what is a source itself, with all that is below it.
    """

    __slots__ = ("below",)

    def __init__(self) -> None:
        self.below: dict[bytes, Scope | None] = {}

    @staticmethod
    def of(paths: Iterable[bytes]) -> Scope | None:
        """Make the scope of the file system's root from absolute paths; None where that is a source itself.

        A path below another one adds nothing.
        """
        root = Scope()
        for path in paths:
            components = [component for component in path.split(b"/") if component]
            if not components:
                return None
            root._add(components)
        return root

    def _add(self, components: list[bytes]) -> None:
        scope = self
        for name in components[:-1]:
            if name not in scope.below:
                scope.below[name] = Scope()
            inner = scope.below[name]
            if inner is None:
                return
            scope = inner
        scope.below[components[-1]] = None
