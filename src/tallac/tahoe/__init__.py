"""Tahoe-LAFS grids in the plain layout: one file a file, one directory a directory, which every Tahoe client reads."""

from tallac.tahoe.grid import TahoeGrid
from tallac.tahoe.node_directory import NodeDirectory

__all__ = ["NodeDirectory", "TahoeGrid"]
