"""How names, sizes, times and tables look."""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import asdict

from tallac.dag import Entry, FileType, Metadata

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def show_size(size: int) -> str:
    """Write a number of bytes with three digits or so, in powers of a thousand."""
    if size < 1000:
        return f"{size} B"
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f} {_UNITS[unit]}"


def show_duration(seconds: float) -> str:
    """Write a length of time."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02} min"


def show_time(seconds: int) -> str:
    """Write a time in the machine's own time zone; one that no calendar has, in seconds since 1970."""
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}"


def show_mode(entry: Entry) -> str:
    """Write an entry's type and rights as `ls -l` does; question marks for rights that nobody kept, and for a mode that is none."""
    mode = entry.metadata.mode
    if mode is not None:
        return "?" * 10 if entry.metadata.file_type is FileType.UNKNOWN else stat.filemode(mode)
    return ("d" if entry.is_directory else "-") + "?" * 9


def kind_of(entry: Entry) -> str:
    """Name what an entry is, for machines."""
    if entry.is_directory:
        return "directory"
    kind = entry.metadata.file_type
    return "regular" if kind is None else kind.name.lower()


def json_name(name: bytes, key: str = "name") -> dict[str, object]:
    """Return a name for JSON, which knows text only: as text, and where that is not exact, in base 16 too."""
    try:
        return {key: name.decode()}
    except UnicodeDecodeError:
        return {key: name.decode(errors="replace"), f"{key}_hex": name.hex()}


def json_report(report: Struct, *, without: Collection[str] = ()) -> dict[str, object]:
    """Return the fields of a report under their own names, as JSON objects have them; those in `without` are left out."""
    return {name: value for name, value in asdict(report).items() if name not in without}


def json_metadata(metadata: Metadata) -> dict[str, object]:
    """Return the metadata that a listing shows, without absent fields."""
    shown: dict[str, object] = {
        "mode": metadata.mode,
        "uid": metadata.uid,
        "gid": metadata.gid,
        "user": metadata.user,
        "group": metadata.group,
        "mtime_ns": metadata.mtime_ns,
    }
    present = {key: value for key, value in shown.items() if value is not None}
    return present if metadata.target is None else present | json_name(metadata.target, "target")


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Align columns; those in `right` to the right."""
    to_right = set(right)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return [
        "  ".join(
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
