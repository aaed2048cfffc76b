"""The keys of a job as what `backup` and `forget` take."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from tallac.app.operations.backup import BackupOptions
from tallac.app.operations.backup_values import options_of
from tallac.backup.option_table import EXCLUSIONS, MANNER, SOURCE_LISTS, BackupOption, OptionKind
from tallac.jobs.job import Job
from tallac.retention.forget import RetentionPolicy


def backup_options(job: Job) -> BackupOptions:
    """Return how a job is backed up.

    Raises:
        UsageError: An option makes no sense, or a file that one names can't be read.
    """
    return options_of(_values(job), None)


def sources_of(job: Job) -> list[str]:
    """Return the folders and files that a job names, with the home folder written out."""
    return [os.path.expanduser(source) for source in job.keys.sources]


def lists_of(job: Job) -> dict[str, Any]:
    """Return where else a job's sources are written: the arguments `files_from`, `files_from0` and `relative_to`."""
    values = _values(job)
    return {option.destination: values[option.destination] for option in SOURCE_LISTS}


def policy_of(job: Job) -> RetentionPolicy | None:
    """Return which of this host's snapshots in the target stay; None where nothing is forgotten."""
    if job.rules is None:
        return None
    host = job.options.get("host")
    return RetentionPolicy(job.rules, host=host if isinstance(host, str) else platform.node())


def vault_of_target(job: Job) -> str:
    """Return what names the vault of a job's target: its alias with the colon, or a cap as it is."""
    return job.keys.target if job.keys.target.startswith("URI:") else f"{job.keys.target.partition(':')[0]}:"


def _values(job: Job) -> dict[str, Any]:
    """Return the value of every option, given or not."""
    return {option.destination: _value(option, job.options.get(option.name)) for option in (*EXCLUSIONS, *SOURCE_LISTS, *MANNER)}


def _value(option: BackupOption, given: Any) -> Any:
    if given is None:
        return {OptionKind.FLAG: False, OptionKind.OFF_FLAG: True}.get(option.kind, () if option.kind.is_several else None)
    if option.kind is OptionKind.OFF_FLAG:
        return not given
    if option.metavar.startswith(("FILE", "FOLDER")):
        return tuple(map(os.path.expanduser, given)) if option.kind.is_several else os.path.expanduser(given)
    return given


def dumps_folder(folder: Path, job: Job) -> Path:
    """Return the folder for a job's dumps: always the same, so that a snapshot has them where the one before has."""
    return folder / job.name
