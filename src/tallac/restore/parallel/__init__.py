"""Restore files in this process or in workers."""
