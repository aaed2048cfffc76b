"""Which paths of a snapshot are wanted, by patterns as in `.gitignore` files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """A choice of paths: those that are included, or all if none is, without those that are excluded.

    Attributes:
        top: The scope of the root.
        is_everything: Whether nothing is left out.
        has_matched: Whether any path was found to be included; true from the start where no pattern includes.
    """

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
        self._texts = tuple(map(tuple, (include, exclude, iinclude, iexclude)))
        self._include = Patterns.of_options(iinclude, ignores_case=True) + Patterns.of_options(include)
        self._exclude = Patterns.of_options(iexclude, ignores_case=True) + Patterns.of_options(exclude)
        self.top = Scope.TRAVERSE_ONLY if self._include else Scope.IN
        self.is_everything = not self._include and not self._exclude
        self.has_matched = not self._include

    @property
    def texts(self) -> tuple[str, ...]:
        """The patterns, as they were written."""
        return tuple(text for texts in self._texts for text in texts)

    def rewritten(self, rewrite: Callable[[str], str]) -> PathFilter:
        """Return the choice by other patterns, each made of one of these."""
        include, exclude, iinclude, iexclude = (tuple(map(rewrite, texts)) for texts in self._texts)
        return PathFilter(include, exclude, iinclude=iinclude, iexclude=iexclude)

    def scope(self, path: bytes, is_directory: bool, parent: Scope) -> Scope:
        """Return what holds for a path below the snapshot, given what holds for its directory."""
        if self.is_everything or parent is Scope.OUT:
            return parent
        if self._exclude.matches(path, is_directory):
            return Scope.OUT
        if parent is Scope.IN or self._include.matches(path, is_directory):
            self.has_matched = True
            return Scope.IN
        return Scope.TRAVERSE_ONLY if is_directory else Scope.OUT


EVERYTHING = PathFilter()
