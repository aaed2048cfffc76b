"""The counts of a part of a directory in all its versions, and objects of the store with the snapshot that has each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b

import msgspec

from tallac.dag import Entry, FileType, file_type_of
from tallac.dag.encoded import sizes_of
from tallac.errors import AuthorityError, DamageError
from tallac.interfaces import StoredSizes
from tallac.look.object_table import IS_FILE, NAME_SIZE, OF_DIRECTORY, SHARED
from tallac.look.tables import Tables


class Noted(msgspec.Struct, frozen=True, array_like=True):
    """The objects of some files or directories that one snapshot alone has there, or several.

    Attributes:
        owner: The number of that snapshot, or `SHARED`.
        flags: Those of `tallac.look.object_table`.
        sole: Names of the objects of those that have one each, and their sizes.
        without: The same for those that have none in the store: a name that stands for each.
        several: Encoded cap, size and objects of those that have several, unless it was said before whose they are.
    """

    owner: int
    flags: int
    sole: dict[bytes, int]
    without: dict[bytes, int]
    several: list[tuple[bytes, int, dict[bytes, int]]]


class Tally(msgspec.Struct, frozen=True, array_like=True):
    """The counts and objects of the entries of a directory, between two names.

    Attributes:
        path: The path below the snapshots.
        counts: For the snapshots that have a version: how many directories and others it has, and bytes of regular files.
        noted: Their objects.
    """

    path: bytes
    counts: list[tuple[tuple[int, ...], int, int, int]]
    noted: list[Noted]


Owners = dict[bytes, int]
"""The only snapshot that has what consists of several objects, by its cap; or `SHARED`."""


def note_owner(owners: Owners, encoded: bytes, owner: int) -> bool:
    """Note that a snapshot, or several, has something; return whether that is new."""
    known = owners.get(encoded)
    if known in (owner, SHARED):
        return False
    owners[encoded] = owner if known is None else SHARED
    return True


def tally_of(tables: Tables, sizes: StoredSizes | None, owners: Mapping[bytes, int]) -> tuple[Tally, dict[bytes, str]]:
    """Count the entries of directories for each snapshot that has them, and find their objects.

    Args:
        tables: The entries.
        sizes: The grid, if it knows the sizes of its objects.
        owners: Of what was told before, which is not read again.

    Returns:
        What they come to, and what is wrong with those caps of which some objects can't be told.
    """
    caps: dict[int, list[tuple[tuple[int, ...], set[bytes]]]] = {OF_DIRECTORY: [], IS_FILE: [], 0: []}
    known: dict[bytes, int] = {}
    counts = []
    for snapshots, directories, others in tables.all:
        regular, special = _divided(others)
        contents = [entry.encoded for entry in regular]
        known |= sizes_of(set(contents) - known.keys())
        counts.append((snapshots, len(directories), len(others), sum(map(known.__getitem__, contents))))
        for flags, found in ((OF_DIRECTORY, directories), (0, special)):
            if found:
                caps[flags].append((snapshots, {entry.encoded for entry in found}))
        caps[IS_FILE].append((snapshots, set(contents)))
    problems: dict[bytes, str] = {}
    noted = []
    for flags, versions in caps.items():
        for owner, owned in by_owner(versions):
            of_owned = {each: known[each] for each in owned} if flags & IS_FILE else sizes_of(owned)
            if of_owned:
                noted.append(noted_of(of_owned, owner, flags, sizes, owners, problems))
    return Tally(tables.path, counts, noted), problems


def noted_of(
    caps: Mapping[bytes, int],
    owner: int,
    flags: int,
    sizes: StoredSizes | None,
    owners: Mapping[bytes, int],
    problems: dict[bytes, str],
) -> Noted:
    """Return the objects of files or directories, whose sizes are given; what is wrong with some is put into `problems`."""
    sole, others = ({}, list(caps)) if sizes is None else sizes.sole_objects(caps)
    without: dict[bytes, int] = {}
    several = []
    for encoded in others:
        if owners.get(encoded) in (owner, SHARED):
            continue
        try:
            objects = dict(sizes.objects_of(encoded)) if sizes is not None else {}
        except (DamageError, AuthorityError) as error:
            problems[encoded] = str(error)
            objects = {}
        if len(objects) == 1:
            sole |= objects
        elif not objects:
            without[blake2b(encoded, digest_size=NAME_SIZE).digest()] = caps[encoded]
        else:
            several.append((encoded, caps[encoded], objects))
    return Noted(owner, flags, sole, without, several)


def _divided(entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Divide what is no directory into regular files, and others."""
    # Files of one directory have few modes between them.
    kinds = {mode: None if mode is None else file_type_of(mode) for mode in {entry.metadata.mode for entry in entries}}
    special = {mode for mode, kind in kinds.items() if kind not in (None, FileType.DIRECTORY, FileType.REGULAR)}
    if not special:
        return entries, []
    return [each for each in entries if each.metadata.mode not in special], [
        each for each in entries if each.metadata.mode in special
    ]


def by_owner(versions: list[tuple[tuple[int, ...], set[bytes]]]) -> Iterator[tuple[int, set[bytes]]]:
    """Iterate over the caps in versions of a directory with the only snapshot that has them there, or `SHARED`."""
    seen: set[bytes] = set()
    shared: set[bytes] = set()
    for _, caps in versions[1:] and versions:
        shared |= seen & caps
        seen |= caps
    for snapshots, caps in versions:
        yield snapshots[0] if len(snapshots) == 1 else SHARED, caps - shared if shared else caps
    if shared:
        yield SHARED, shared
