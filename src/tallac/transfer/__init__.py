"""Copying single files and directories to a grid, from it and within it, and changing directories."""

from tallac.transfer.directory_edits import (
    entries_of,
    find_strongest,
    find_writable,
    link,
    make_directory,
    move,
    new_name,
    strongest_cap,
    unlink,
)
from tallac.transfer.download import copy_to_local, download
from tallac.transfer.files import Sink, get_file, metadata_of_file, put_file
from tallac.transfer.place import Found, Place, directory_of, find, find_or_none, list_directory, walk
from tallac.transfer.report import CopyReport, Skipped
from tallac.transfer.upload import copy_to_grid

__all__ = [
    "CopyReport",
    "Found",
    "Place",
    "Sink",
    "Skipped",
    "copy_to_grid",
    "copy_to_local",
    "directory_of",
    "download",
    "entries_of",
    "find",
    "find_or_none",
    "find_strongest",
    "find_writable",
    "get_file",
    "link",
    "list_directory",
    "make_directory",
    "metadata_of_file",
    "move",
    "new_name",
    "put_file",
    "strongest_cap",
    "unlink",
    "walk",
]
