"""Tahoe-LAFS grids in the plain layout: every file and directory is an object of its own, which any Tahoe client can read."""
