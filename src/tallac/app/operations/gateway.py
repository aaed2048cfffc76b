"""Serving a grid to other programs over HTTP, and showing a path in the web browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_from_bytes

from tallac.app.configuration.folders import make_private_folder
from tallac.app.operations.aliases import Aliases
from tallac.app.workspace import Workspace
from tallac.errors import LocalStateError, UsageError
from tallac.local_files import Durability, replace

if TYPE_CHECKING:
    from tallac.gateway import GatewaySettings

_REDIRECTION = """<!doctype html>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={}">
"""


class GatewayRunner:
    """Serves the default grid in Tahoe-LAFS's web API, and opens pages of a Tahoe-LAFS node."""

    def __init__(self, workspace: Workspace, aliases: Aliases) -> None:
        self._workspace = workspace
        self._aliases = aliases

    def prepare(self) -> str:
        """Make the default alias if it is missing and no grid is chosen; return where a vault was made, "" if none was."""
        return "" if self._workspace.is_grid_given else self._aliases.ensure_default()

    def serve(self, settings: GatewaySettings, on_ready: Callable[[str], None]) -> None:
        """Answer requests in Tahoe-LAFS's web API over the default grid, until SIGINT or SIGTERM.

        Args:
            settings: How to listen.
            on_ready: Is told the URL once the gateway answers.

        Raises:
            UsageError: It can't listen there, or must not.
        """
        # lazy import: a web server is loaded only where one is to run
        from tallac.gateway import serve

        serve(self._workspace.default_opener(), settings, on_ready)

    def webopen(self, place: str, *, info: bool = False, browse: Callable[[str], bool] | None = None) -> Path:
        """Show a place in the web browser, through the gateway of a Tahoe-LAFS node.

        The browser is told of a file that only the user can read, and that leads it on: an address on its command line, which is a
        cap, could be seen by everybody on this machine.

        Args:
            place: What to show.
            info: Show what is known of it, and not the thing itself.
            browse: Shows an address and tells whether it could; None for the user's own browser.

        Returns:
            The file.

        Raises:
            UsageError: The place is in a vault, which has no gateway of its own.
            LocalStateError: There is no browser.
        """
        import webbrowser  # lazy import: a gateway does without it
        from html import escape  # lazy import: likewise

        from tallac.tahoe.grid import TahoeGrid  # lazy import: a command on a vault does without the web

        grid, located = self._workspace.resolve(place)
        if not isinstance(grid, TahoeGrid):
            raise UsageError(f"{place}: this is in a vault; start `tallac serve`, and give its URL with --node-url and a cap")
        parts = [quote(located.cap.danger_whole_text(), safe=""), *(quote_from_bytes(name, safe="") for name in located.path)]
        address = grid.client.url + "uri/" + "/".join(parts) + ("?t=info" if info else "")
        page = self._workspace.folders.state / "webopen.html"
        make_private_folder(page.parent)
        try:
            replace(page, _REDIRECTION.format(escape(address, quote=True)).encode(), Durability.NONE)
        except OSError as error:
            raise LocalStateError(f"{page}: can't write what the browser is to open ({error.strerror})") from error
        if not (browse or webbrowser.open)(page.as_uri()):
            raise LocalStateError(f"{page}: no web browser was found to show this; open it yourself, or set BROWSER")
        return page
