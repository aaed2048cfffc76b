"""The file system that is backed up: listings, signatures, metadata, and descriptors that lead to all of it.

Nothing here takes a path longer than one component, except `open_root`; so no depth is out of reach.
"""

from tallac.source.capture import (
    FLAGS_KEPT,
    describe_special,
    metadata_of,
    metadata_of_read,
    read_attributes,
    read_flags,
    read_holes,
    read_link,
    read_xattrs,
    read_xattrs_beneath,
)
from tallac.source.descriptors import DIRECTORY_FLAGS, open_beneath, open_directory, open_regular, open_root
from tallac.source.entry import SourceEntry
from tallac.source.filesystem import REAL, FastFileSystem, FileSystem, MountPoint, Mounts, compiled
from tallac.source.listing import SIGNATURE_SIZE, EncodedListing, EncodedScan, Failure, Scan, signature
from tallac.source.own_files import NOTHING_OWN, OWN_MARKS, OwnFiles, OwnKind, OwnPlace, is_configuration_name
from tallac.source.patterns import Patterns
from tallac.source.scan import RUN_COUNT_MAX, ChosenScan, scan, scan_nothing
from tallac.source.scope import Scope
from tallac.source.selection import (
    CACHE_MARKER,
    IGNORE_FILE,
    VERSION_CONTROL_NAMES,
    DirectorySelection,
    MarkerFile,
    Selection,
)
from tallac.source.stack import DirectoryStack

__all__ = [
    "CACHE_MARKER",
    "DIRECTORY_FLAGS",
    "FLAGS_KEPT",
    "IGNORE_FILE",
    "NOTHING_OWN",
    "OWN_MARKS",
    "REAL",
    "RUN_COUNT_MAX",
    "SIGNATURE_SIZE",
    "VERSION_CONTROL_NAMES",
    "ChosenScan",
    "DirectorySelection",
    "DirectoryStack",
    "EncodedListing",
    "EncodedScan",
    "Failure",
    "FastFileSystem",
    "FileSystem",
    "MarkerFile",
    "MountPoint",
    "Mounts",
    "OwnFiles",
    "OwnKind",
    "OwnPlace",
    "Patterns",
    "Scan",
    "Scope",
    "Selection",
    "SourceEntry",
    "compiled",
    "describe_special",
    "is_configuration_name",
    "metadata_of",
    "metadata_of_read",
    "open_beneath",
    "open_directory",
    "open_regular",
    "open_root",
    "read_attributes",
    "read_flags",
    "read_holes",
    "read_link",
    "read_xattrs",
    "read_xattrs_beneath",
    "scan",
    "scan_nothing",
    "signature",
]
