"""Restore over existing files: what is kept, replaced and deleted."""
