"""Check what hangs below a cap, and the grid that it hangs in."""

from tallac.check.checking import check_cap
from tallac.check.hits import Hit, gather

__all__ = ["Hit", "check_cap", "gather"]
