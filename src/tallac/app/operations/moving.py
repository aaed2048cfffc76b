"""Moving a vault to another place: copy it, check the copy, and only then use it there. The old place stays as it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from tallac.app.locations.tahoe_urls import has_cap, is_tahoe_vault
from tallac.app.locations.urls import is_absent, is_same_place, is_store, parse_location, show_location
from tallac.app.locations.vault_keys import VaultKey
from tallac.app.operations.job_values import vault_of_target
from tallac.app.operations.jobs import Jobs
from tallac.app.operations.mirror import VaultMirror
from tallac.app.workspace import Workspace
from tallac.backends.memory import MemoryBackend
from tallac.backends.names import new_probe_name
from tallac.clock import SystemClock
from tallac.errors import (
    AliasError,
    ConfigurationError,
    ConflictError,
    DamageError,
    RollbackDetectedError,
    StoreError,
    UsageError,
    VaultNotFoundError,
)
from tallac.interfaces import Backend, CheckReport, Expect
from tallac.jobs.loader import JobFileError
from tallac.vault.check.options import CheckOptions
from tallac.vault.check.vault_check import check_vault
from tallac.vault.format.keys import KeeperKey, WriterKey
from tallac.vault.format.structure import Structure
from tallac.vault.mirror.report import MirrorOptions, MirrorReport
from tallac.vault.mutable.sessions import HEARTBEAT_INTERVAL_SECONDS, SessionState
from tallac.vault.prune.session_watch import SessionWatch
from tallac.vault.vault import open_vault

LOOK_AGAIN_SECONDS = HEARTBEAT_INTERVAL_SECONDS + 5.0


class MisplacedCopy(msgspec.Struct, frozen=True):
    """A copy that a job keeps at the place that its vault moves to, where it would be none any more.

    Attributes:
        job: The job's name.
        file: Where the job is written.
        place: The copy's place, as it is written there.
    """

    job: str
    file: str
    place: str


class MoveReport(msgspec.Struct):
    """The outcome of a move.

    Attributes:
        old, new: The places, as users write them.
        old_url: The old one with its options.
        aliases: The aliases in this vault, which lead to the new place.
        misplaced: The copies that jobs keep at the new place.
        unread_jobs: Why it is not known which copies jobs keep; "" where it is.
        copied: What was copied.
        checked: What was found at the new place.
        is_same_place: Whether both are one place, so that only the way to it is another.
        is_moved: Whether the new place is used from now on.
    """

    old: str
    new: str
    old_url: str
    aliases: list[str]
    misplaced: list[MisplacedCopy] = []
    unread_jobs: str = ""
    copied: MirrorReport = msgspec.field(default_factory=MirrorReport)
    checked: CheckReport = msgspec.field(default_factory=CheckReport)
    is_same_place: bool = False
    is_moved: bool = False


class MoveProgress(msgspec.Struct, frozen=True):
    """Whom to tell how far a move is: one while it copies, one while it checks."""

    copying: Callable[[MirrorReport], None] | None = None
    checking: Callable[[CheckReport], None] | None = None


class VaultMove:
    """Moves one vault. Killed at any moment it harms nothing; the next run goes on where it was."""

    def __init__(self, workspace: Workspace, sleep: Callable[[float], None] = time.sleep) -> None:
        self._workspace = workspace
        self._sleep = sleep

    def run(
        self,
        source: str,
        target: str,
        *,
        copies: bool = True,
        is_dry_run: bool = False,
        progress: MoveProgress | None = None,
    ) -> MoveReport:
        """Move the vault at an alias, a folder or a URL.

        Args:
            source: Where it is.
            target: A folder or a URL; what `--store` says is about this one.
            copies: Whether to copy; without it, the vault has to be at the new place already.
            is_dry_run: Only find out what would be copied.
            progress: See `MoveProgress`.

        Raises:
            UsageError: The vault is not known here, or is at the new place already.
            VaultNotFoundError: The new place holds something else.
            DamageError: The vault, or the copy of it, is damaged; the old place stays in use.
            ConflictError: A backup is under way at the old place; run this again.
            StoreError: A store failed, or is not safe.
        """
        progress = progress or MoveProgress()
        vaults, configuration = self._workspace.vaults, self._workspace.file.read()
        identity, old = self._source(source)
        new = vaults.locate(configuration, target)
        report = MoveReport(show_location(old), show_location(new), old, self._aliases(identity))
        if is_tahoe_vault(new) and not has_cap(new):
            raise UsageError(f"{report.new}: say which directory of the grid; create one there, and give its cap as well")
        if new == old:
            raise UsageError(f"{report.new}: the vault is there already; give the place where it is to go")
        self._find_misplaced(report, new)
        there = vaults.header_at(new)
        if there is not None and there.identity != identity:
            raise VaultNotFoundError(f"{report.new} contains another vault: give an empty place, or the one of an earlier try")
        key = vaults.key_of(configuration, identity)
        if there is None:
            if not copies:
                raise VaultNotFoundError(f"{report.new}: no vault found; leave out --no-copy to have it copied there")
            self._require_empty(new)
        if is_dry_run:
            backend: Backend = MemoryBackend() if there is None else self._workspace.backends.at(new)
            report.copied = self._copy(old, new, backend, key, progress, MirrorOptions(is_dry_run=True))
            return report
        backend, new = self._workspace.backends.create(new)
        report.is_same_place = copies and there is not None and self._is_same_place(old, backend)
        if copies and not report.is_same_place:
            self._copy_whole(report, new, backend, key, progress)
        self._check(report, new, key, progress)
        with self._workspace.file.updating() as configuration:
            known = configuration.grids[identity]
            if known.location != old:
                raise ConflictError(f"another command has changed where this vault is, to {show_location(known.location)}")
            configuration.grids[identity] = msgspec.structs.replace(known, location=new)
        report.is_moved = True
        return report

    def _source(self, text: str) -> tuple[str, str]:
        """Return the identity of the vault that is to move, and where the configuration has it."""
        configuration = self._workspace.file.read()
        alias = self._workspace.alias_of_vault(text)
        if alias is not None:
            identity = self._workspace.known_alias(configuration, alias).grid
            return identity, self._workspace.vaults.location_of(configuration, identity)
        url = parse_location(text)
        for identity, known in configuration.grids.items():
            if known.location == url or (is_store(url) and known.location.partition("?")[0] == url):
                return identity, self._workspace.vaults.location_of(configuration, identity)
        raise UsageError(f"{text}: no vault in your configuration is there; name it by an alias, as in home:")

    def _aliases(self, identity: str) -> list[str]:
        return sorted(name for name, alias in self._workspace.file.read().aliases.items() if alias.grid == identity)

    def _find_misplaced(self, report: MoveReport, new: str) -> None:
        """Find the copies that jobs keep at the new place. Jobs that can't be read keep no vault from moving."""
        try:
            jobs = Jobs(self._workspace.folders).read()
        except JobFileError as error:
            report.unread_jobs = str(error)
            return
        for job in jobs.values():
            if vault_of_target(job).removesuffix(":") in report.aliases:
                report.misplaced += [
                    MisplacedCopy(job.name, str(job.file), place) for place in job.keys.copies if self._is_at(place, new)
                ]

    def _is_at(self, place: str, url: str) -> bool:
        try:
            return is_same_place(self._workspace.location_of(place), url)
        except (AliasError, ConfigurationError, UsageError):
            return False  # It leads nowhere, as each run of the job says.

    def _require_empty(self, url: str) -> None:
        """Refuse a place with other things.

        Raises:
            VaultNotFoundError: There are some.
        """
        if not is_absent(url) and self._workspace.backends.has_other_things(url):
            raise VaultNotFoundError(f"{show_location(url)}: not a vault, and not empty; give a new or empty place")

    def _is_same_place(self, old: str, new: Backend) -> bool:
        """Whether two locations lead to one place, as two names of a folder do: what is stored at one shows at the other."""
        if is_absent(old):
            return False
        name, content = new_probe_name(), os.urandom(16)
        new.put(name, content, expect=Expect.ABSENT)
        try:
            with suppress(VaultNotFoundError):
                found = self._workspace.backends.at(old).get_versioned(name)
                return found is not None and found[0] == content
            return False
        finally:
            with suppress(StoreError):
                new.delete(name)

    def _copy_whole(self, report: MoveReport, new: str, backend: Backend, key: VaultKey, progress: MoveProgress) -> None:
        """Copy until nothing is missing, reading what an earlier try has copied as well."""
        try:
            report.copied = self._copy(report.old_url, new, backend, key, progress, MirrorOptions(verifies=True))
        except RollbackDetectedError as error:
            raise RollbackDetectedError(
                f"{report.new} is newer than {report.old} ({error}); if another machine has moved the vault, add --no-copy"
            ) from error
        self._require_no_problems(report)
        if self._has_writers(report.old_url, key):
            raise ConflictError(
                f"{report.old}: a backup or another command is writing there; run this again when it has ended, "
                "what is copied by now stays"
            )
        # What was added while the first copy was under way.
        rest = self._copy(report.old_url, new, backend, key, progress, MirrorOptions())
        report.copied = msgspec.structs.replace(
            report.copied,
            packs=report.copied.packs + rest.packs,
            pack_bytes=report.copied.pack_bytes + rest.pack_bytes,
            index_objects=report.copied.index_objects + rest.index_objects,
            states=report.copied.states + rest.states,
            problems=rest.problems,
        )
        self._require_no_problems(report)

    def _copy(
        self, old: str, new: str, backend: Backend, key: VaultKey, progress: MoveProgress, options: MirrorOptions
    ) -> MirrorReport:
        keeper = key.keeper_key if isinstance(key, WriterKey) else key
        return VaultMirror(self._workspace).copy(old, new, backend, keeper, options, progress.copying)

    @staticmethod
    def _require_no_problems(report: MoveReport) -> None:
        if report.copied.problems:
            raise DamageError(f"{report.old}: not all of it could be copied ({report.copied.problems[0]}); it stays in use")

    def _has_writers(self, old: str, key: VaultKey) -> bool:
        """Whether a session lives at the old place: one shows it by changing its object within a few seconds."""
        keeper = key.keeper_key if isinstance(key, WriterKey) else key
        header = self._workspace.vaults.header_at(old)
        if not isinstance(keeper, KeeperKey) or header is None:
            return False
        watch = SessionWatch(
            self._workspace.backends.at(old), keeper.roots, Structure(keeper, header.signers), os.urandom, SystemClock()
        )
        states = (SessionState.OPEN, SessionState.COMMITTING)
        before = {session.path: session.version for session in watch.read() if session.record.state in states}
        if not before:
            return False
        self._sleep(LOOK_AGAIN_SECONDS)
        return any(before.get(session.path) != session.version for session in watch.read() if session.record.state in states)

    def _check(self, report: MoveReport, new: str, key: VaultKey, progress: MoveProgress) -> None:
        """Check that all that is in use is there, and nothing older than this machine has seen.

        Raises:
            DamageError: It is not.
        """
        header = self._workspace.vaults.header_at(new)
        if header is None:
            raise VaultNotFoundError(f"{report.new}: the copy has no header any more; run this again")
        self._workspace.vaults.require_copy(new, header, key)
        state = self._workspace.folders.state
        with open_vault(self._workspace.backends.at(new), key, state=state, header=header) as vault:
            report.checked = check_vault(vault.components, None, CheckOptions(), progress.checking)
        if not report.checked.is_healthy:
            first = next(finding.message for finding in report.checked.findings if finding.damaged)
            raise DamageError(f"{report.new}: what is there is damaged ({first}); {report.old} stays in use")
