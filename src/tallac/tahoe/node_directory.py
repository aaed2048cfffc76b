"""The directory of a Tahoe-LAFS node: its gateway's URL, and its aliases, which `tahoe` and Tallac share."""

from __future__ import annotations

from pathlib import Path

from tallac.errors import AliasError, LocalStateError, StoreError
from tallac.local_files import Durability, replace

NODE_URL_FILE = "node.url"
NODE_ID_FILE = "my_nodeid"
ALIASES_FILE = "private/aliases"
ROOT_FILE = "private/root_dir.cap"
ROOT_ALIAS = "tahoe"
SIZE_MAX = 16 << 20


class NodeDirectory:
    """The folder of a node, `~/.tahoe` by default. It holds secrets, which no `repr` shows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def url(self) -> str:
        """Return the URL of the gateway.

        Raises:
            StoreError: No URL is recorded: this is not the directory of a node, or the node has never run.
        """
        path = self.folder / NODE_URL_FILE
        text = self._read(path)
        if text is None or not text.strip():
            raise StoreError(f"{path}: no node URL found; give the directory of a Tahoe-LAFS node that has run once")
        return text.strip()

    def node_id(self) -> str | None:
        """Return the node's identifier; None if it has never run."""
        text = self._read(self.folder / NODE_ID_FILE)
        return text.strip() or None if text is not None else None

    def aliases(self) -> dict[str, str]:
        """Return the texts of the caps by alias name."""
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
        """Append an alias; the rest of the file is kept, including comments. Durable when this returns.

        Raises:
            AliasError: The alias exists already.
            LocalStateError: The file can't be written; it is unchanged.
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
    replace(path, content, Durability.FULL, temporary=path.with_name(f"{path.name}.tallac-new"))
