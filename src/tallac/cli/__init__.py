"""The `tallac` command."""

from tallac.cli.main import main

__all__ = ["main"]
