"""Bring files and directories of a snapshot back to disk, as they were.

Three stages stand apart, so that worker processes can take the middle one: the walk makes directories and special files
(`walk`), `FileWriter` writes the regular files of one directory, and directories get their metadata when all below them is
done. Nothing is ever written outside the destination: see `safe_names` and `tallac.source.DirectoryStack`.
"""

from tallac.restore.archive.archive import ArchiveKind, write_archive
from tallac.restore.files.file_writer import Batch, FileWriter
from tallac.restore.filesystem import DESTINATION, DestinationSystem
from tallac.restore.options import Overwrite, RestoreOptions, RestoreSettings
from tallac.restore.owners import parse_owner_rules
from tallac.restore.parallel.runner import BatchRunner
from tallac.restore.path_filter import EVERYTHING, PathFilter
from tallac.restore.report import BatchResult, Change, Problem, ProblemKind, RestoreObserver, RestoreSummary
from tallac.restore.restore import restore

__all__ = [
    "DESTINATION",
    "EVERYTHING",
    "ArchiveKind",
    "Batch",
    "BatchResult",
    "BatchRunner",
    "Change",
    "DestinationSystem",
    "FileWriter",
    "Overwrite",
    "PathFilter",
    "Problem",
    "ProblemKind",
    "RestoreObserver",
    "RestoreOptions",
    "RestoreSettings",
    "RestoreSummary",
    "parse_owner_rules",
    "restore",
    "write_archive",
]
