"""Back up a source into a target on any grid: `tallac.backup.run.back_up`.

That module is not imported here: worker processes, and commands that only look at snapshots, do without it.
"""

from tallac.backup.summary import BackupSummary, Change, Counts, Observer, Progress
from tallac.backup.target import Target, open_target
from tallac.dag import ARCHIVES, LATEST, free_snapshot_name, parse_snapshot_name, snapshot_name

__all__ = [
    "ARCHIVES",
    "LATEST",
    "BackupSummary",
    "Change",
    "Counts",
    "Observer",
    "Progress",
    "Target",
    "free_snapshot_name",
    "open_target",
    "parse_snapshot_name",
    "snapshot_name",
]
