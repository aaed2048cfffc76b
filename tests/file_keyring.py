"""A system keyring for tests: a JSON file, named by an environment variable."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class FileKeyring(KeyringBackend):
    """Keeps secrets as SERVICE/ENTRY in a file."""

    priority = 1.0

    def get_password(self, service: str, username: str) -> str | None:
        """Give a secret."""
        return self._read().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep a secret."""
        self._file.write_text(json.dumps({**self._read(), f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        """Forget a secret."""
        self._file.write_text(json.dumps({key: value for key, value in self._read().items() if key != f"{service}/{username}"}))

    @property
    def _file(self) -> Path:
        return Path(os.environ["TESTED_KEYRING"])

    def _read(self) -> dict[str, str]:
        found = json.loads(self._file.read_text()) if self._file.exists() else {}
        assert isinstance(found, dict)
        return found
