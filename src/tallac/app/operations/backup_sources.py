"""The sources of a backup: one folder, several sources, lists of paths in files, a stream, or the output of a command."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from tallac.dag import display_path
from tallac.errors import SourceError, UsageError
from tallac.interfaces import FileContent
from tallac.source import OwnFiles, OwnKind, Scope

if TYPE_CHECKING:
    import subprocess

NAMED_COUNT_MAX = 32
"""A snapshot's facts name no more sources than this; of more, the folder that holds them all."""


_AS_STREAM = "to store what comes out of it, write `COMMAND | tallac backup ALIAS:TO --stdin-name NAME`"


class Sources(msgspec.Struct, frozen=True):
    """The sources of a backup.

    Attributes:
        root: The absolute path of the directory that becomes the snapshot's root.
        scope: Leads from there to the sources; None where the root itself is the source.
        named: The sources that the snapshot's facts name, absolute paths.
        places: The sources, as paths without symbolic links.
        missing: Paths of a list that can't be backed up, with the reason.
        remarks: What is said of sources when they are backed up for the first time.
    """

    root: bytes
    scope: Scope | None
    named: tuple[bytes, ...]
    places: tuple[bytes, ...]
    missing: tuple[tuple[bytes, str], ...] = ()
    remarks: tuple[tuple[bytes, str], ...] = ()

    @property
    def real_root(self) -> bytes:
        """The path of the root without symbolic links."""
        return self.places[0] if self.scope is None and self.places else self.root


def find_sources(paths: Sequence[str | Path], listed: Sequence[bytes] = (), base: str | Path | None = None) -> Sources:
    """Find what is to be backed up.

    One folder becomes the snapshot's root, and one file the only entry of it. Anything more lies in the snapshot under its absolute
    path, or under its path from a base. Symbolic links on the way are followed, since they are the user's own words; one that a
    list names is kept as itself.

    Args:
        paths: Sources; each must be there.
        listed: Paths of lists; what is missing of them is in the result.
        base: A folder that becomes the snapshot's root, with nothing in it but what leads to the sources.

    Raises:
        SourceError: A source is not there, or the base.
        UsageError: There is no source, or one does not lie in the base.
    """
    if len(paths) == 1 and not listed and base is None:
        return _one_source(paths[0])
    root = b"/" if base is None else _real_folder(base)
    places = [_real_source(path) for path in paths]
    named = [os.path.abspath(os.fsencode(path)) for path in paths]
    missing: list[tuple[bytes, str]] = []
    for path in listed:
        place = os.path.abspath(path)
        place = os.path.join(os.path.realpath(os.path.dirname(place)), os.path.basename(place))
        try:
            os.lstat(place)
        except OSError as error:
            missing.append((place, error.strerror or str(error)))
        else:
            places.append(place)
            named.append(place)
    if not places:
        raise SourceError("nothing to back up: no path in the lists exists")
    scope = Scope.of(_path_from(root, place) for place in places)
    if scope is None:
        return Sources(root, None, (root,), (root,), tuple(missing))
    return Sources(root, scope, _shortened(named), _shortened(places), tuple(missing), _remarks(paths))


def _path_from(root: bytes, place: bytes) -> bytes:
    inside = root if root.endswith(b"/") else root + b"/"
    if place != root and not place.startswith(inside):
        shown, base = (path.decode("utf-8", "backslashreplace") for path in (place, root))
        raise UsageError(f"{shown}: not below {base}; choose another folder with --relative-to")
    return place[len(inside) :]


def _one_source(path: str | Path) -> Sources:
    place, absolute, remarks = _real_source(path), os.path.abspath(os.fsencode(path)), _remarks([path])
    if os.path.isdir(place):
        return Sources(absolute, None, (absolute,), (absolute,), remarks=remarks)
    folder, name = os.path.split(place)
    return Sources(folder, Scope.of([name]), (absolute,), (place,), remarks=remarks)


def _remarks(paths: Sequence[str | Path]) -> tuple[tuple[bytes, str], ...]:
    """Name sources that are symbolic links. One with a slash at its end is what the link leads to, in so many words."""
    links = [os.fsencode(path) for path in paths if os.path.islink(path)]
    remarks = [(link, f"this is a symbolic link; what is backed up is {display_path(os.path.realpath(link))}") for link in links]
    fifos = [os.fsencode(path) for path in paths if stat.S_ISFIFO(os.stat(path).st_mode)]
    return (*remarks, *((fifo, f"this is a FIFO, which is stored without content; {_AS_STREAM}") for fifo in fifos))


def _real_folder(path: str | Path) -> bytes:
    _require_folder(path)
    return os.path.realpath(os.fsencode(path))


def _require_folder(path: str | Path) -> None:
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        raise SourceError(f"{path}: this can't be backed up ({error.strerror})") from error
    if not is_folder:
        raise UsageError(f"{path}: not a folder; back up the folder that contains it")


def _real_source(path: str | Path) -> bytes:
    try:
        os.stat(path)
    except OSError as error:
        raise SourceError(f"{path}: this can't be backed up ({error.strerror})") from error
    place = os.path.realpath(os.fsencode(path))
    if not os.path.lexists(place):
        # As of `<(command)` in a shell: the snapshot would be empty.
        raise UsageError(f"{path}: this is a pipe, or a file without a name; {_AS_STREAM}")
    return place


def _shortened(paths: Sequence[bytes]) -> tuple[bytes, ...]:
    unique = tuple(dict.fromkeys(paths))
    return unique if len(unique) <= NAMED_COUNT_MAX else (os.path.commonpath(unique),)


def stream_source(name: str) -> Sources:
    """Name a stream as a source. Raises as `check_stream_name`."""
    return Sources(b"/", None, (b"stdin:" + os.fsencode(check_stream_name(name)),), ())


def check_stream_name(name: str) -> str:
    """Check the name of a stream's file, and return it.

    Raises:
        UsageError: It can't be the name of a file.
    """
    if not name or "/" in name or name in {".", ".."}:
        raise UsageError(f"{name!r} can't be a file's name; give one without slashes")
    return name


Identity = tuple[int, int]
"""Device and inode: which folder it is, whatever path leads there."""


def require_outside(sources: Sources, vault: Path | None) -> None:
    """Refuse a source that lies in the vault that it would be backed up into.

    Raises:
        UsageError: A source lies there.
    """
    excluded = None if vault is None else _identity(vault)
    for place in sources.places:
        if excluded is not None and excluded in _identities_upwards(place):
            shown = display_path(place)
            raise UsageError(f"{shown}: this is inside the vault that the backup goes into; choose another source or vault")


def require_not_own(sources: Sources, own: OwnFiles) -> None:
    """Refuse one folder that is nothing but Tallac's own: the snapshot would be empty.

    Raises:
        UsageError: The only source is Tallac's configuration or state, or lies in it.
    """
    place = own.find_above(sources.root) if sources.scope is None and own.recognises else None
    if place is not None and place.kind is not OwnKind.VAULT:
        shown = display_path(sources.root)
        raise UsageError(
            f"{shown}: this is {place.kind.value}, and is not backed up by default; add --include-own if that is meant"
        )


def _identity(path: str | bytes | Path) -> Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None  # Whoever opens it says what is wrong.
    return status.st_dev, status.st_ino


def _identities_upwards(path: bytes) -> set[Identity]:
    """Return the identities of a folder and of all that it lies in, wherever links lead."""
    path = os.path.realpath(path)
    found = set()
    while True:
        identity = _identity(path)
        if identity is not None:
            found.add(identity)
        parent = os.path.dirname(path)
        if parent == path:
            return found
        path = parent


@contextmanager
def command_output(command: Sequence[str]) -> Iterator[FileContent]:
    """Run a command for the length of a block; its standard output is the content. A block that fails ends the command.

    Reading raises SourceError at the end of the output where the command has failed.

    Raises:
        SourceError: It can't be run.
    """
    import subprocess  # lazy import: few backups are of a command's output

    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0)
    except OSError as error:
        raise SourceError(f"{command[0]}: can't be run ({error.strerror}); no snapshot was made") from error
    assert process.stdout is not None
    with process.stdout as output:
        try:
            yield _Output(process, output, command[0])
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()


class _Output:
    """The output of a command; its arguments may hold secrets and are never shown."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes], name: str) -> None:
        self._process = process
        self._output = output
        self._name = name

    def readinto(self, buffer: memoryview, /) -> int:
        content = self._output.read(len(buffer))
        buffer[: len(content)] = content
        if not content and len(buffer):
            status = self._process.wait()
            if status < 0:
                raise SourceError(f"{self._name}: it was ended by signal {-status}; no snapshot was made")
            if status:
                raise SourceError(f"{self._name}: it ended with exit status {status}; no snapshot was made")
        return len(content)
