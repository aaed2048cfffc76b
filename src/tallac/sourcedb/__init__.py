"""The source database: a local record of what is stored already, so that unchanged files are not read again."""

from tallac.sourcedb.database import LastBackup, SourceDatabase, last_backup
from tallac.sourcedb.record import DirectoryRow, ProvisionalRows, SourceRecord

__all__ = ["DirectoryRow", "LastBackup", "ProvisionalRows", "SourceDatabase", "SourceRecord", "last_backup"]
