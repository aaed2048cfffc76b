"""The client's side of Tahoe-LAFS's web API: requests to a node's gateway, and what its answers mean.

What stands behind it: docs/frontends/webapi.rst of Tahoe-LAFS, and what real nodes do.
"""

from tallac.webapi.client import LITERAL_SIZE_MAX, Health, Stored, WebChild, WebClient
from tallac.webapi.reader import WebReader

__all__ = ["LITERAL_SIZE_MAX", "Health", "Stored", "WebChild", "WebClient", "WebReader"]
