"""Copying a vault to a mirror, whole or in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from msgspec.structs import replace

from tallac.app.locations.urls import is_absent, is_same_place, is_store
from tallac.app.workspace import Workspace
from tallac.backends.memory import MemoryBackend
from tallac.caps import Cap, VerifyCap
from tallac.errors import AuthorityError, UsageError
from tallac.interfaces import Backend
from tallac.local_files import make_private_folders
from tallac.transfer.place import find
from tallac.vault.format.header import read_identity
from tallac.vault.format.keys import KeeperKey, LocatorKey, WriterKey
from tallac.vault.mirror.full import VaultCopy
from tallac.vault.mirror.partial import PartialCopy
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.vault.mirror.rollback_guard import MirrorMemory


class VaultMirror:
    """Copies vaults between two locations."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def run(
        self,
        source: str,
        mirror: str,
        options: MirrorOptions,
        *,
        only: Sequence[str] = (),
        progress: Callable[[MirrorReport], None] | None = None,
    ) -> MirrorReport:
        """Copy what the mirror lacks of the vault at a folder, a URL or an alias, to a folder, which is made, or a URL.

        Raises:
            UsageError: Both are the same location.
            As `tallac.vault.mirror.full.VaultCopy.run`.
        """
        options = replace(options, only=tuple(self._verify_cap(place) for place in only))
        source_url, mirror_url = self._workspace.location_of(source), self._workspace.location_of(mirror)
        if is_same_place(source_url, mirror_url):
            raise UsageError(f"{mirror}: the vault itself is there, and can't be its own copy; give another place")
        key = self._workspace.key_at(source_url)
        keeper = key.keeper_key if isinstance(key, WriterKey) else key
        if options.only:
            if not isinstance(keeper, KeeperKey):
                raise AuthorityError("a partial mirror requires the keeper key: give it with --vault-key")
            backend = self._workspace.backends.at(source_url)
            partial = PartialCopy(backend, self._mirror_at(mirror_url, is_dry_run=options.is_dry_run), keeper, options, progress)
            partial.run()
            return partial.report
        there = self._mirror_at(mirror_url, is_dry_run=options.is_dry_run)
        return self.copy(source_url, mirror_url, there, keeper, options, progress)

    def copy(
        self,
        source_url: str,
        mirror_url: str,
        mirror: Backend,
        key: KeeperKey | LocatorKey | None,
        options: MirrorOptions,
        progress: Callable[[MirrorReport], None] | None = None,
    ) -> MirrorReport:
        """Copy the whole vault at a location to the backend at another. Raises as `VaultCopy.run`."""
        backend = self._workspace.backends.at(source_url)
        memory = None
        if not options.is_dry_run:
            folder = self._workspace.folders.state / read_identity(backend)
            make_private_folders(folder)
            memory = folder / f"mirror-{sha256(mirror_url.encode()).hexdigest()[:16]}.json"
        run = VaultCopy(backend, mirror, key, MirrorMemory(memory), options, progress)
        run.run()
        return run.report

    def _verify_cap(self, place: str) -> VerifyCap:
        """Return the verify cap of what is at a path; a cap may stand for itself, since a keeper has no more."""
        if place.startswith(("URI:", "@")):
            cap: Cap = self._workspace.parse_cap(place)
        else:
            grid, located = self._workspace.resolve(place)
            cap = located.cap if located.name is None else find(grid, located).cap
        verify_cap = cap.verify_cap
        if verify_cap is None:
            raise AuthorityError(f"{place}: nothing is stored for it, so there is nothing to copy")
        return verify_cap

    def _mirror_at(self, url: str, *, is_dry_run: bool) -> Backend:
        """Return the mirror's backend; a missing folder is made, or for a dry run replaced by an empty backend in memory."""
        if not is_absent(url) and not self._is_empty_store(url):
            return self._workspace.backends.at(url)
        return MemoryBackend() if is_dry_run else self._workspace.backends.create(url)[0]

    def _is_empty_store(self, url: str) -> bool:
        """Whether it is in a store over a line, and nothing is there; over SFTP the folder may be missing."""
        workspace = self._workspace
        return is_store(url) and workspace.vaults.header_at(url) is None and not workspace.backends.has_other_things(url)
