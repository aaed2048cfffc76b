"""zstd for the second reader and writer: another binding than Tallac's, which Python has in its standard library since 3.14."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["zstd"]
