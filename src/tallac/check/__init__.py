"""Check what hangs below a cap, and the grid that it hangs in."""

from tallac.check.checking import check_cap

__all__ = ["check_cap"]
