"""Bring files and directories of a snapshot back to disk, as they were.

Three stages stand apart, so that worker processes can take the middle one: the walk makes directories and special files
(`walk`), `restore_batch` writes the regular files of one directory, and directories get their metadata when all below them is
done. Nothing is ever written outside the destination: see `names` and `tallac.source.DirectoryStack`.
"""

from tallac.restore.archive import ArchiveKind, write_archive
from tallac.restore.batch import Batch, BatchResult, restore_batch
from tallac.restore.options import Overwrite, RestoreOptions
from tallac.restore.owners import parse_owner_rules
from tallac.restore.run import restore
from tallac.restore.runner import BatchRunner
from tallac.restore.selection import EVERYTHING, Selection
from tallac.restore.settings import RestoreSettings
from tallac.restore.summary import Change, Problem, ProblemKind, RestoreSummary
from tallac.restore.system import DESTINATION, DestinationSystem
from tallac.restore.tally import RestoreObserver

__all__ = [
    "DESTINATION",
    "EVERYTHING",
    "ArchiveKind",
    "Batch",
    "BatchResult",
    "BatchRunner",
    "Change",
    "DestinationSystem",
    "Overwrite",
    "Problem",
    "ProblemKind",
    "RestoreObserver",
    "RestoreOptions",
    "RestoreSettings",
    "RestoreSummary",
    "Selection",
    "parse_owner_rules",
    "restore",
    "restore_batch",
    "write_archive",
]
