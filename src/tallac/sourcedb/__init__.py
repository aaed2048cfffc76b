"""The source database: a local record of what is stored already, so that unchanged files are not read again."""

from tallac.sourcedb.database import SourceDatabase, recorded_files
from tallac.sourcedb.record import DirectoryRow, ProvisionalRows, SourceRecord

__all__ = ["DirectoryRow", "ProvisionalRows", "SourceDatabase", "SourceRecord", "recorded_files"]
