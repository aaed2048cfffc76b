"""Paths on a grid as users write them, `ALIAS:PATH`: text -> what it names. Nothing is looked up here."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import msgspec

from tallac.errors import AliasError, UsageError

DEFAULT_ALIAS = "tallac"

_CAP_BEGINNINGS = ("URI:", "ro.URI:", "imm.URI:")
_ALIAS_LENGTH_MAX = 100


class AliasName(msgspec.Struct, frozen=True):
    """A path begins at an alias."""

    name: str


@dataclass(frozen=True, slots=True)
class CapText:
    """A path begins at a cap that stands on the command line."""

    text: str = field(repr=False)


class CapSource(msgspec.Struct, frozen=True):
    """A path begins at a cap that is the first line of a file, or of standard input (`-`)."""

    file: str


class GridPath(msgspec.Struct, frozen=True):
    """Where a path begins, and its components."""

    root: AliasName | CapText | CapSource
    path: tuple[bytes, ...]


def parse_grid_path(text: str) -> GridPath:
    """Read `ALIAS:PATH`, `PATH` below the default alias, `CAP[/PATH]`, `CAP:./PATH`, or `@FILE[:PATH]` and `@-[:PATH]`.

    Empty components are left out, as Tahoe-LAFS does, so that `home:/docs//a/` and `home:docs/a` are the same.
    """
    if text.startswith("@"):
        file, _, path = text[1:].partition(":")
        return GridPath(CapSource(file), _split(path))
    if text.startswith(_CAP_BEGINNINGS):
        cap, colon, path = text.partition(":./")
        if not colon:
            cap, _, path = text.partition("/")
        return GridPath(CapText(cap), _split(path))
    if not is_remote(text):
        return GridPath(AliasName(DEFAULT_ALIAS), _split(text))
    alias, _, path = text.partition(":")
    return GridPath(AliasName(alias), _split(path))


def write_alias(text: str) -> str:
    """Write a path with its alias: `docs` becomes `tallac:docs`."""
    return text if is_remote(text) else f"{DEFAULT_ALIAS}:{text}"


def is_remote(text: str) -> bool:
    """Whether an argument of `cp` names something on a grid: an alias or cap, that is a colon before the first slash."""
    return text.startswith(("@", *_CAP_BEGINNINGS)) or ":" in text.partition("/")[0]


def require_local_path(text: str, place: str) -> None:
    """Refuse a path on a grid where a local one is written to, behind the place that is read.

    Raises:
        UsageError: It has a colon before its first slash, as `usb:docs` has.
    """
    if not is_remote(text) or os.path.splitdrive(text)[0]:
        return
    if not is_remote(place) and os.path.lexists(place):
        raise UsageError(f"{text}: what is stored comes first, and then where it goes: write {text} {place}")
    raise UsageError(
        f"{text}: this is a path in a vault, and what is restored goes into a local one; write ./{text} if that is meant"
    )


def check_alias_name(text: str) -> str:
    """Check a new alias's name, and return it without a colon at its end.

    Raises:
        AliasError: It can't be written before a colon.
    """
    name = text.removesuffix(":")
    if not name or not name.isprintable() or any(character in name for character in ":/@ ") or name.startswith("-"):
        raise AliasError(f"{text!r} can't be an alias: a name has no spaces and none of : / @, and does not begin with -")
    if len(name) > _ALIAS_LENGTH_MAX:
        raise AliasError(f"an alias has at most {_ALIAS_LENGTH_MAX} characters")
    if name.lower() in ("uri", "file"):
        raise AliasError(f"{name!r} can't be an alias: it has another meaning here")
    return name


def _split(path: str) -> tuple[bytes, ...]:
    return tuple(os.fsencode(part) for part in path.split("/") if part)
