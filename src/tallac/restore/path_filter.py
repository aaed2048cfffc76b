"""Which paths of a snapshot are wanted, by patterns as in `.gitignore` files."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from tallac.source import Patterns


class Scope(Enum):
    """The scope of a path, and of what is below it.

    IN: it is wanted, and so is everything below it that is not excluded. TRAVERSE_ONLY: a directory that is not wanted itself, but
    something below it may be. OUT: neither it nor anything below it.
    """

    IN = "in"
    TRAVERSE_ONLY = "passage"
    OUT = "out"


class PathFilter:
    """A choice of paths: those that are included, or all if none is, without those that are excluded."""

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        iinclude: Sequence[str] = (),
        iexclude: Sequence[str] = (),
    ) -> None:
        """Read patterns; those of the last two ignore case, and come first: the last one that matches decides.

        Raises:
            PatternError: Nothing can match one.
        """
        self._include = Patterns.of_options(iinclude, ignores_case=True) + Patterns.of_options(include)
        self._exclude = Patterns.of_options(iexclude, ignores_case=True) + Patterns.of_options(exclude)
        self.top = Scope.TRAVERSE_ONLY if self._include else Scope.IN
        self.is_everything = not self._include and not self._exclude

    def scope(self, path: bytes, is_directory: bool, parent: Scope) -> Scope:
        """Return what holds for a path below the snapshot, given what holds for its directory."""
        if self.is_everything or parent is Scope.OUT:
            return parent
        if self._exclude.matches(path, is_directory):
            return Scope.OUT
        if parent is Scope.IN or self._include.matches(path, is_directory):
            return Scope.IN
        return Scope.TRAVERSE_ONLY if is_directory else Scope.OUT


EVERYTHING = PathFilter()
