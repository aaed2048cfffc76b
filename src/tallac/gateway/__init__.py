"""The gateway: an HTTP server that speaks Tahoe-LAFS's web API over any grid.

It depends only on the protocols of `tallac.interfaces`, never on a concrete grid. docs/guide/gateway.md says what it is for.
"""

from tallac.gateway.server import serve
from tallac.gateway.settings import DEFAULT_PORT, GatewaySettings

__all__ = ["DEFAULT_PORT", "GatewaySettings", "serve"]
