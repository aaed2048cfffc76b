"""Where a vault is: text -> URL. What makes a backend of it is backends.py."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from tallac.app.locations.tahoe_urls import has_cap, is_tahoe_vault, parse_tahoe_location, show_tahoe_vault
from tallac.backends.names import PROBE_FOLDER, is_of_probe
from tallac.errors import StoreError, UsageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_STORE = re.compile(r"(?:s3|az|gs|sftp)://", re.IGNORECASE)
_FOLDER_PREFIX = "file://"


def parse_location(text: str, options: Sequence[str] = ()) -> str:
    """Turn what a user writes, a folder or a URL, into a URL.

    Args:
        text: The location.
        options: What `--store` was given; they belong to object stores and SFTP.

    Raises:
        UsageError: It is neither, or of a kind that Tallac does not know.
    """
    if is_tahoe_vault(text):
        return parse_tahoe_location(text)
    if is_store(text):
        from tallac.app.locations.store_urls import parse_options, parse_store_location  # lazy import: a folder does without them

        return parse_store_location(text, parse_options(options))
    scheme = _SCHEME.match(text)
    if not text or "\0" in text:
        raise UsageError("--vault needs a folder or a URL")
    if scheme is None:
        _require_local(text)
        return url_of_folder(Path(text))
    if scheme[1].lower() != "file":
        raise UsageError(f"{scheme[1]}:// is not a supported location; give a folder, or a URL with s3, az, gs, sftp or file")
    if not text[len(_FOLDER_PREFIX) :].startswith("/"):
        raise UsageError("a file URL has three slashes, as in file:///media/disk/vault")
    folder = folder_of_url(text)
    if "\0" in str(folder):
        raise UsageError("--vault: no folder's name has a zero byte")
    return url_of_folder(folder)


# What other programs write with a colon alone, and is a URL here.
_NAMED_ELSEWHERE = {"s3": "s3", "az": "az", "azure": "az", "gs": "gs", "sftp": "sftp", "ssh": "sftp"}
_EXAMPLES = {"s3": "BUCKET/PREFIX", "az": "CONTAINER/PREFIX", "gs": "BUCKET/PREFIX", "sftp": "USER@HOST/PATH"}


def _require_local(text: str) -> None:
    """Refuse what other programs take for a place on another machine, a drive or a remote: as a folder it would be on this disk."""
    first = text.partition("/")[0]
    if text.startswith("\\\\"):
        beginning = "\\\\"
    elif ":" in first and not (os.name == "nt" and Path(text).drive):
        beginning = first.partition(":")[0] + ":"
    else:
        return
    kind, _, rest = text.partition(":")
    scheme = "sftp" if "@" in kind else _NAMED_ELSEWHERE.get(kind.lower())
    if scheme is not None and rest:
        raise UsageError(
            f"{text}: write it as a URL, as in {scheme}://{_EXAMPLES[scheme]}, or ./{text} if a folder here has this name"
        )
    raise UsageError(
        f"{text}: Tallac stores in folders, and {beginning} is none; mount the other machine or disk and give its folder, "
        f"or write ./{text} if a folder here has this name"
    )


def url_of_folder(folder: Path) -> str:
    """Write a folder as a URL, absolute; links in it are kept, since they may lead elsewhere another day."""
    absolute = os.path.abspath(folder)
    return _FOLDER_PREFIX + quote_from_bytes(os.fsencode(absolute))


def folder_of_url(url: str) -> Path:
    """Return the folder that a `file:` URL names."""
    return Path(os.fsdecode(unquote_to_bytes(os.fsencode(url[len(_FOLDER_PREFIX) :]))))


def is_store(url: str) -> bool:
    """Whether it is in an object store or on a machine with SFTP, as written or as remembered."""
    return _STORE.match(url) is not None


def is_folder_url(url: str) -> bool:
    """Whether it is a folder of this machine."""
    return url.startswith(_FOLDER_PREFIX + "/")


def show_location(url: str) -> str:
    """Write a location as a user would, without secrets."""
    if is_tahoe_vault(url):
        return show_tahoe_vault(url)
    if is_store(url):
        return url.partition("?")[0]
    return str(folder_of_url(url)) if is_folder_url(url) else url


def is_same_place(first: str, second: str) -> bool:
    """Whether two locations are one: in a store as far as their texts tell, and of folders also under two names."""
    if is_store(first) and is_store(second):
        from tallac.app.locations.store_urls import place_of  # lazy import: a folder does without them

        return place_of(first) == place_of(second)
    if is_folder_url(first) and is_folder_url(second):
        folders = folder_of_url(first), folder_of_url(second)
        # What can't be looked at is the same by its name alone; whoever opens it says what is wrong.
        with suppress(OSError):
            return os.path.samefile(*folders)
    return first == second


def is_absent(url: str) -> bool:
    """Whether there is no such folder; an error while looking does not count as absence."""
    if is_tahoe_vault(url):
        return not has_cap(url)
    if is_store(url):
        return False
    try:
        folder_of_url(url).stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # Whoever opens it says what is wrong.
    return False


def has_strange_files(folder: Path) -> bool:
    """Whether a folder holds anything beside what a file system puts there itself, and what killed commands have left of theirs."""
    try:
        found = [name for name in os.listdir(folder) if name != "lost+found"]
        if found != [PROBE_FOLDER]:
            return bool(found)
        below = [path for path in (folder / PROBE_FOLDER).rglob("*") if path.is_symlink() or not path.is_dir()]
        return any(not is_of_probe(path.relative_to(folder).as_posix()) for path in below)
    except (FileNotFoundError, NotADirectoryError):
        return folder.is_file()
    except OSError as error:
        raise StoreError(f"{folder}: can't read this folder ({error.strerror})") from error
