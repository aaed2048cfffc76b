"""Tahoe-LAFS grids in the plain layout: one file a file, one directory a directory, which every Tahoe client reads."""
