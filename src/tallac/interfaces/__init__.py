"""The protocols: what each layer asks of the ones below it, and nothing else.

Two seams carry everything. Named bytes plug in under the vault (`Backend`); caps plug in beside it (`Grid`). The parts of `Grid`
are protocols of their own, because authority is a type: a function that only reads takes a `CapReader`.
"""

from tallac.interfaces.backend import Backend, Bounded, Buffer, Expect, FrugalBackend, Item, Upload, Version
from tallac.interfaces.checking import CapChecker, CheckReport, Finding
from tallac.interfaces.grid import (
    BinaryReader,
    CapEditor,
    CapReader,
    CapWriter,
    Directory,
    DirectoryBuilder,
    FileContent,
    FileReader,
    Grid,
    Piece,
    PieceWriter,
    Session,
    WorkerRecipe,
)
from tallac.interfaces.outside import Clock, Randomness
from tallac.interfaces.sizes import StoredPart, StoredSizes

__all__ = [
    "Backend",
    "BinaryReader",
    "Bounded",
    "Buffer",
    "CapChecker",
    "CapEditor",
    "CapReader",
    "CapWriter",
    "CheckReport",
    "Clock",
    "Directory",
    "DirectoryBuilder",
    "Expect",
    "FileContent",
    "FileReader",
    "Finding",
    "FrugalBackend",
    "Grid",
    "Item",
    "Piece",
    "PieceWriter",
    "Randomness",
    "Session",
    "StoredPart",
    "StoredSizes",
    "Upload",
    "Version",
    "WorkerRecipe",
]
