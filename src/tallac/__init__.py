"""Tallac: versioned, encrypted backups that can be shared piece by piece."""

__version__ = "0.1.0"
