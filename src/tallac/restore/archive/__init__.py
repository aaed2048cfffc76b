"""Restore into a tar or zip archive."""
