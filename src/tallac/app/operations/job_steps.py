"""The steps of a job's run, each of which does one thing and says in a line and in numbers what it came to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import msgspec

from tallac.app.locations.vaults import vault_of
from tallac.app.operations.backup import Backups
from tallac.app.operations.drill import drill
from tallac.app.operations.job_values import (
    backup_options,
    dumps_folder,
    lists_of,
    policy_of,
    sources_of,
    vault_of_target,
)
from tallac.app.operations.maintenance import VaultMaintenance
from tallac.app.operations.snapshots import Snapshots
from tallac.app.workspace import Workspace
from tallac.backup import BackupSummary, Observer
from tallac.dag import ARCHIVES, LATEST, display_path
from tallac.errors import StoreError
from tallac.interfaces import CheckReport
from tallac.jobs.commands import run_command
from tallac.jobs.dumps import dump_all, remove_dumps
from tallac.jobs.job import Job
from tallac.jobs.keys import Line
from tallac.vault.check.options import PackSubset
from tallac.vault.mirror.report import MirrorReport
from tallac.vault.prune.report import PruneReport
from tallac.wording import pluralize

if TYPE_CHECKING:
    from tallac.app.operations.backup_sources import Sources
    from tallac.jobs.file_systems import View


class StepResult(msgspec.Struct, frozen=True):
    """The result of a step.

    Attributes:
        message: One line for people.
        counts: Numbers by name.
        is_incomplete: Something was left out, as it could not be read.
        snapshot: Of a backup: the name of its snapshot.
    """

    message: str = ""
    counts: Mapping[str, int] = msgspec.field(default_factory=dict)
    is_incomplete: bool = False
    snapshot: str = ""


class JobObserver(msgspec.Struct, frozen=True):
    """Callbacks for how far a step is.

    Attributes:
        backup: For a backup.
        check, prune, mirror: Called with the report so far.
        note: Called with what somebody who watches would like to know.
        created: Called with the place of a vault that was made, since the default alias was missing.
    """

    backup: Observer = msgspec.field(default_factory=Observer)
    check: Callable[[CheckReport], None] | None = None
    prune: Callable[[PruneReport], None] | None = None
    mirror: Callable[[MirrorReport], None] | None = None
    note: Callable[[str], None] = lambda _: None
    created: Callable[[str], None] = lambda _: None


class JobServices(msgspec.Struct, frozen=True):
    """The services that steps are done with; each is opened when it is first needed."""

    workspace: Workspace
    backups: Callable[[], Backups]
    snapshots: Callable[[], Snapshots]
    vault: Callable[[], VaultMaintenance]


class JobSteps:
    """Does the steps of one run of a job. All raise TallacErrors, and OSErrors of this machine."""

    def __init__(self, job: Job, services: JobServices, observer: JobObserver) -> None:
        self._job = job
        self._services = services
        self._observer = observer
        self._sources: Sources | None = None
        self._name = b""

    @property
    def has_dumps(self) -> bool:
        """Whether there are databases to dump."""
        return bool(self._job.keys.dumps)

    def command(self, line: Line, variables: Mapping[str, str]) -> StepResult:
        """Run a command of the user's."""
        run_command(line, seconds=self._job.timeout_seconds or None, variables=variables)
        return StepResult()

    def dump(self) -> StepResult:
        """Dump the databases into the job's folder for that."""
        keys = self._job.keys
        folder = dumps_folder(self._services.workspace.folders.dumps, self._job)
        seconds = self._job.timeout_seconds or None
        size = dump_all(keys.dumps, keys.dump_options, folder, seconds, lambda dump: self._observer.note(f"dumping {dump}"))
        return StepResult(pluralize(len(keys.dumps), "database dump"), {"dumps": len(keys.dumps), "bytes": size})

    def remove_dumps(self) -> None:
        """Remove the dumps, which anybody who reads the disk could read."""
        remove_dumps(dumps_folder(self._services.workspace.folders.dumps, self._job))

    def backup(self) -> StepResult:
        """Make a snapshot."""
        backups = self._services.backups()
        options = backup_options(self._job)
        if made := backups.prepare(self._job.keys.target):
            self._observer.created(made)
        found = self._sources = self.find_sources()
        with self._view(found, one_file_system=options.selection.one_file_system) as view:
            elsewhere = None if view is None else view.place
            summary = backups.run(
                found, self._job.keys.target, options=options, observer=self._observer.backup, elsewhere=elsewhere
            )
        self._name = summary.name
        return _backed_up(summary)

    def _view(self, found: Sources, *, one_file_system: bool) -> AbstractContextManager[View | None]:
        """Return a block in which the sources are as they were at one moment, where the job wants that."""
        kind = self._job.keys.snapshot
        if kind is None:
            return nullcontext()
        # lazy import: few jobs have their file systems snapshot
        from tallac.jobs.file_systems import snapshot_view

        sources = sorted(set(map(os.fsdecode, found.places)))
        return snapshot_view(kind, sources, self._job.name, one_file_system=one_file_system)

    def find_sources(self) -> Sources:
        """Find what the job backs up.

        Raises:
            SourceError: A source is not there.
        """
        paths = sources_of(self._job)
        if self.has_dumps:
            paths.append(os.fspath(dumps_folder(self._services.workspace.folders.dumps, self._job)))
        return self._services.backups().find_sources(paths, **lists_of(self._job))

    def forget(self) -> StepResult:
        """Forget what the job's rules don't keep."""
        policy = policy_of(self._job)
        assert policy is not None, "only jobs with rules have this step"
        plan = self._services.snapshots().forget(self._job.keys.target, policy)
        forgotten = len(plan.forgotten)
        kept = sum(map(len, plan.groups.values())) - forgotten
        return StepResult(f"{kept} kept, {forgotten} forgotten", {"kept": kept, "forgotten": forgotten})

    def prune(self) -> StepResult:
        """Reclaim the space of what was forgotten.

        Raises:
            StoreError: Something of it could not be done.
        """
        if vault_of(self._services.workspace.resolve(self._job.keys.target)[0]) is None:
            return StepResult("not a vault, so there is nothing to prune")
        report = self._services.vault().prune(vault_of_target(self._job), progress=self._observer.prune)
        counts = {"deleted_packs": report.deleted_packs, "freed_bytes": report.freed_bytes}
        if report.skipped:
            raise StoreError(report.skipped[0])
        if report.unmoved_packs:
            raise StoreError(
                f"{pluralize(report.unmoved_packs, 'pack')} could not be emptied, because there is no room to move them"
            )
        return StepResult(f"{pluralize(report.deleted_packs, 'pack')} deleted", counts)

    def check(self) -> StepResult:
        """Check the vault, or the next part of its data.

        Raises:
            StoreError: It is damaged.
        """
        plan = self._job.check
        assert plan is not None, "only jobs with a check have this step"
        share = PackSubset(percent=plan.percent) if plan.percent else None
        report = self._services.vault().check(vault_of_target(self._job), share=share, progress=self._observer.check)
        damage = [finding for finding in report.findings if finding.damaged]
        if damage:
            first = damage[0]
            where = "" if first.path is None else f"{display_path(first.path)}: "
            others = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
            raise StoreError(f"{where}{first.message}{others}; `tallac check {vault_of_target(self._job)}` names all of it")
        return StepResult(
            f"{pluralize(report.objects, 'object')} checked, no damage found",
            {"objects": report.objects, "bytes_read": report.bytes_read},
        )

    def drill(self) -> StepResult:
        """Try a restore of the newest snapshot.

        Raises:
            StoreError: It did not come back as it was.
        """
        plan = self._job.drill
        assert plan is not None, "only jobs with a drill have this step"
        grid, target = self._services.workspace.resolve(self._job.keys.target)
        snapshot = target.child(ARCHIVES, self._name) if self._name else target.child(LATEST)
        sources = self._sources or self.find_sources()
        report = drill(grid, snapshot, sources.root, plan.files)
        counts = {"files": report.files, "bytes": report.bytes, "compared": report.compared, "changed": report.changed}
        if report.problems:
            others = f" (and {len(report.problems) - 1} more)" if len(report.problems) > 1 else ""
            raise StoreError(f"a restore of {pluralize(report.files, 'file')} was tried: {report.problems[0]}{others}")
        same = f"{report.compared} of them compared with their sources"
        return StepResult(f"{pluralize(report.files, 'file')} restored, {same}", counts)

    def copy(self, place: str) -> StepResult:
        """Bring a copy of the vault up to date.

        Raises:
            StoreError: Something could not be copied.
        """
        report = self._services.vault().mirror(vault_of_target(self._job), place, progress=self._observer.mirror)
        if report.problems:
            raise StoreError(f"{place}: {report.problems[0]}")
        return StepResult(
            f"{pluralize(report.packs, 'pack')} copied to {place}", {"packs": report.packs, "bytes": report.pack_bytes}
        )


def _backed_up(summary: BackupSummary) -> StepResult:
    files = summary.files
    counts = {
        "files": files.total,
        "files_new": files.new,
        "files_changed": files.changed,
        "files_removed": files.gone,
        "bytes": summary.size,
        "bytes_read": summary.bytes_read,
        "bytes_stored": summary.bytes_stored,
        "unreadable": summary.unreadable,
    }
    message = f"{files.new:,} new, {files.changed:,} changed, {files.unchanged:,} unchanged"
    if not summary.name:
        message = f"nothing changed, no snapshot was needed; {message}"
    if summary.is_incomplete:
        message = f"{pluralize(summary.unreadable, 'path')} could not be read; {message}"
    return StepResult(message, counts, summary.is_incomplete, os.fsdecode(summary.name))
