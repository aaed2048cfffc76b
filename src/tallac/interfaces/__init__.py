"""The protocols: exactly what each layer requires of the ones below it.

There are two seams: stores of named bytes plug in under the vault (`Backend`), and stores of caps beside it (`Grid`). The parts of
`Grid` are protocols of their own, because authority is a type: a function that only reads takes a `CapReader`.
"""

from tallac.interfaces.backend import (
    Backend,
    Buffer,
    ConnectsAhead,
    Expect,
    HighLatencyBackend,
    Item,
    KeepsFormerStates,
    ListedObject,
    ListsVersions,
    ObjectCache,
    RemembersStates,
    ReportsFreeSpace,
    RereadingBackend,
    TrafficCount,
    Upload,
    Version,
)
from tallac.interfaces.checking import CapChecker, CheckProgress, CheckReport, Finding
from tallac.interfaces.grid import BinaryReader, CapEditor, CapReader, Directory, FileReader, Grid, Session
from tallac.interfaces.outside import Clock, Randomness
from tallac.interfaces.sizes import StoredObject, StoredSizes
from tallac.interfaces.writing import (
    CapWriter,
    Chunk,
    ChunkedFileWriter,
    ChunkWriter,
    ContentWriter,
    DirectoryBuilder,
    DirectoryWriter,
    FileContent,
    Holdings,
    StreamWriter,
    WorkerHost,
    WorkerRecipe,
)

__all__ = [
    "Backend",
    "BinaryReader",
    "Buffer",
    "CapChecker",
    "CapEditor",
    "CapReader",
    "CapWriter",
    "CheckProgress",
    "CheckReport",
    "Chunk",
    "ChunkWriter",
    "ChunkedFileWriter",
    "Clock",
    "ConnectsAhead",
    "ContentWriter",
    "Directory",
    "DirectoryBuilder",
    "DirectoryWriter",
    "Expect",
    "FileContent",
    "FileReader",
    "Finding",
    "Grid",
    "HighLatencyBackend",
    "Holdings",
    "Item",
    "KeepsFormerStates",
    "ListedObject",
    "ListsVersions",
    "ObjectCache",
    "Randomness",
    "RemembersStates",
    "ReportsFreeSpace",
    "RereadingBackend",
    "Session",
    "StoredObject",
    "StoredSizes",
    "StreamWriter",
    "TrafficCount",
    "Upload",
    "Version",
    "WorkerHost",
    "WorkerRecipe",
]
