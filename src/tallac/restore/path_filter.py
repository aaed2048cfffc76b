"""Which paths of a snapshot are wanted, by patterns as in `.gitignore` files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from tallac.errors import UsageError

Matches = Callable[[str], bool]


class Scope(Enum):
    """What holds for a path, and for what is below it.

    IN: it is wanted, and so is everything below it that is not excluded. TRAVERSE_ONLY: a directory that is not wanted itself, but
    something below it may be. OUT: neither it nor anything below it.
    """

    IN = "in"
    TRAVERSE_ONLY = "passage"
    OUT = "out"


class Selection:
    """Tells for each path whether it is wanted: what is included, if anything is, without what is excluded."""

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        iinclude: Sequence[str] = (),
        iexclude: Sequence[str] = (),
    ) -> None:
        """Take patterns; those of the last two match whatever the case.

        Raises:
            UsageError: One is no pattern, or matches nothing.
        """
        self._include = _matchers(include, iinclude)
        self._exclude = _matchers(exclude, iexclude)
        self.top = Scope.TRAVERSE_ONLY if self._include else Scope.IN
        self.is_everything = not self._include and not self._exclude

    def scope(self, path: bytes, is_directory: bool, parent: Scope) -> Scope:
        """Tell what holds for a path below the snapshot, given what holds for its directory."""
        if self.is_everything or parent is Scope.OUT:
            return parent
        # A name that is no UTF-8 is matched with surrogates in the places of its odd bytes.
        text = path.decode("utf-8", "surrogateescape") + ("/" if is_directory else "")
        if any(matches(text) for matches in self._exclude):
            return Scope.OUT
        if parent is Scope.IN or any(matches(text) for matches in self._include):
            return Scope.IN
        return Scope.TRAVERSE_ONLY if is_directory else Scope.OUT


def _matchers(exact: Sequence[str], folded: Sequence[str]) -> list[Matches]:
    matchers = []
    if exact:
        matchers.append(_matcher(exact))
    if folded:
        of_lower_case = _matcher([pattern.lower() for pattern in folded])
        matchers.append(lambda text: of_lower_case(text.lower()))
    return matchers


def _matcher(patterns: Sequence[str]) -> Matches:
    import pathspec  # late import: most restores have no patterns, and it costs as much time as a short one

    for pattern in patterns:
        if not pattern.strip() or pattern.startswith("#"):
            raise UsageError(f"{pattern!r} matches nothing: give a pattern as in a .gitignore file")
    try:
        return pathspec.GitIgnoreSpec.from_lines(patterns).match_file
    except ValueError as error:
        raise UsageError(f"this is no pattern: {error}") from error


EVERYTHING = Selection()
