"""A client of the Tahoe-LAFS web API: requests to the gateway of a node, and the meaning of its answers.

It follows docs/frontends/webapi.rst of Tahoe-LAFS, and the behaviour of real nodes.
"""

from tallac.webapi.client import LITERAL_SIZE_MAX, Health, Stored, WebChild, WebClient
from tallac.webapi.reader import WebReader

__all__ = ["LITERAL_SIZE_MAX", "Health", "Stored", "WebChild", "WebClient", "WebReader"]
