"""Copying single files and directories to a grid, from it and within it, and changing directories."""
