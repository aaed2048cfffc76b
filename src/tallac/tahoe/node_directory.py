"""A Tahoe-LAFS node's directory: where its gateway is, and its aliases, which `tahoe` and Tallac share."""

from __future__ import annotations

import os
from pathlib import Path

from tallac.errors import AliasError, LocalStateError, StoreError

NODE_URL_FILE = "node.url"
NODE_ID_FILE = "my_nodeid"
ALIASES_FILE = "private/aliases"
ROOT_FILE = "private/root_dir.cap"
ROOT_ALIAS = "tahoe"
SIZE_MAX = 16 << 20


class NodeDirectory:
    """The folder of a node, `~/.tahoe` by default. It holds secrets: no `repr` shows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def url(self) -> str:
        """Give the gateway's URL.

        Raises:
            StoreError: There is none, because this is no node's directory, or the node has never run.
        """
        path = self.folder / NODE_URL_FILE
        text = self._read(path)
        if text is None or not text.strip():
            raise StoreError(f"{path}: there is no node's URL; give the directory of a Tahoe-LAFS node that has run once")
        return text.strip()

    def node_id(self) -> str | None:
        """Give the node's own name, by which others know it; None where it has not run yet."""
        text = self._read(self.folder / NODE_ID_FILE)
        return text.strip() or None if text is not None else None

    def aliases(self) -> dict[str, str]:
        """Give the caps' texts by the aliases' names."""
        found = {}
        root = (self._read(self.folder / ROOT_FILE) or "").strip()
        if root:
            found[ROOT_ALIAS] = root
        for line in (self._read(self.folder / ALIASES_FILE) or "").splitlines():
            name, colon, cap = line.strip().partition(":")
            if colon and not name.startswith("#"):
                found[name] = cap.strip()
        return found

    def add_alias(self, name: str, cap: str) -> None:
        """Write one alias more; everything that stands in the file stays, comments too. Durable when this returns.

        Raises:
            AliasError: The name is taken.
            LocalStateError: The file can't be written; it is as it was.
        """
        if name in self.aliases():
            raise AliasError(f"{self.folder}: this node has an alias {name!r} already; choose another name")
        path = self.folder / ALIASES_FILE
        text = self._read(path) or ""
        if text and not text.endswith("\n"):
            text += "\n"
        try:
            _replace(path, f"{text}{name}: {cap}\n".encode())
        except OSError as error:
            raise LocalStateError(f"{path}: can't write the alias there ({error.strerror})") from error

    def _read(self, path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                text = file.read(SIZE_MAX)
            return text.decode()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LocalStateError(f"{path}: can't read it ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise LocalStateError(f"{path}: it is no text in UTF-8") from error


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_name(f"{path.name}.tallac-new")
    # A leftover of a killed run may have other rights; the mode counts at creation only.
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
