"""What a client offers to other programs over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tallac.app.workspace import Connection

if TYPE_CHECKING:
    from tallac.gateway import GatewaySettings


class Serving:
    """The part of a client that serves a grid.

    Attributes:
        connection: Opens what the configuration names.
    """

    connection: Connection

    def prepare_serving(self) -> str:
        """Make the default alias if it is missing and no grid is chosen; say where a vault was made for it, else ""."""
        return "" if self.connection.is_grid_given else self.connection.ensure_default_alias() or ""

    def serve(self, settings: GatewaySettings, on_ready: Callable[[str], None]) -> None:
        """Answer requests in Tahoe-LAFS's web API over the default grid, until SIGINT or SIGTERM.

        Args:
            settings: How to listen.
            on_ready: Is told the URL once the gateway answers.

        Raises:
            UsageError: It can't listen there, or must not.
        """
        # late import: a web server is loaded only where one is to run
        from tallac.gateway import serve

        serve(self.connection.default_opener(), settings, on_ready)
