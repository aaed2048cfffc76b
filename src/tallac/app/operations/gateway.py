"""Serving a grid to other programs over HTTP, and showing a path in the web browser."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_from_bytes

from tallac.app.configuration.folders import make_private_folder
from tallac.app.workspace import Workspace
from tallac.dag import display_path
from tallac.errors import LocalStateError
from tallac.interfaces import Grid
from tallac.local_files import Durability, replace
from tallac.transfer.place import Place, find

if TYPE_CHECKING:
    from tallac.gateway import GatewaySettings

_REDIRECTION = """<!doctype html>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={}">
"""


class GatewayRunner:
    """Serves a grid in Tahoe-LAFS's web API, and opens pages: of a Tahoe-LAFS node, or of a gateway that runs meanwhile."""

    def __init__(self, workspace: Workspace, warn: Callable[[str], None] = lambda _: None) -> None:
        self._workspace = workspace
        self._warn = warn

    def serve(
        self, settings: GatewaySettings, on_ready: Callable[[str], None], *, metrics: Callable[[], str] | None = None
    ) -> None:
        """Answer requests in Tahoe-LAFS's web API over the default grid or the only one, until SIGINT or SIGTERM.

        Args:
            settings: How to listen.
            on_ready: Is told the URL once the gateway answers.
            metrics: Returns what is answered at /metrics, in a thread of its own; None for nothing there.

        Raises:
            UsageError: There is no vault yet, or it is not clear which is meant; or it can't listen there, or must not.
        """
        # lazy import: a web server is loaded only where one is to run
        from tallac.gateway import serve

        serve(self._workspace.default_opener(), settings, on_ready, metrics=metrics)

    def webopen(
        self,
        place: str,
        *,
        info: bool = False,
        browse: Callable[[str], bool] | None = None,
        on_page: Callable[[Path], None] = lambda _: None,
    ) -> Path:
        """Show a place in the web browser.

        What is on a Tahoe-LAFS grid is shown by its node. What is in a vault is shown by a gateway that runs in this call, for this
        machine alone, until SIGINT or SIGTERM.

        The browser is told of a file that only the user can read, and that leads it on: an address on its command line, which is a
        cap, could be seen by everybody on this machine.

        Args:
            place: What to show.
            info: Show what is known of it, and not the thing itself.
            browse: Shows an address and tells whether it could; None for the user's own browser.
            on_page: Is told the file, before a gateway of this call begins to answer.

        Returns:
            The file. That of a vault is gone by then, as nothing answers where it leads.

        Raises:
            EntryNotFoundError: There is nothing in the vault at this place.
            LocalStateError: There is no browser, or the file can't be written.
        """
        import webbrowser  # lazy import: a gateway does without it

        from tallac.tahoe.grid import TahoeGrid  # lazy import: a command on a vault does without the web

        browse = browse or webbrowser.open
        grid, located = self._workspace.resolve(place)
        if not isinstance(grid, TahoeGrid):
            return self._show_vault(grid, located, browse, on_page, info=info)
        parts = [quote(located.cap.danger_whole_text(), safe=""), *(quote_from_bytes(name, safe="") for name in located.path)]
        page = self._write_page(grid.client.url + "uri/" + "/".join(parts) + ("?t=info" if info else ""), "webopen.html")
        on_page(page)
        if not browse(page.as_uri()):
            raise LocalStateError(_without_browser(page))
        return page

    def _show_vault(
        self, grid: Grid, located: Place, browse: Callable[[str], bool], on_page: Callable[[Path], None], *, info: bool
    ) -> Path:
        """Serve the vault until a signal comes, and have the browser open the place."""
        # lazy import: a web server is loaded only where one is to run
        from tallac.gateway import GatewaySettings, serve

        # The cap of this place alone: what the browser remembers leads to nothing beside it.
        found = find(grid, located)
        path = "uri/" + quote(found.cap.danger_whole_text(), safe="")
        if not info and not found.is_directory and located.name is not None:
            path += "?filename=" + quote(display_path(located.name), safe="")
        pages: list[Path] = []

        def show(page: Path) -> None:
            if not browse(page.as_uri()):
                self._warn(_without_browser(page))

        def open_page(url: str) -> None:
            pages.append(self._write_page(url + path + ("?t=info" if info else ""), f"webopen-{os.getpid()}.html"))
            on_page(pages[0])
            # Some browsers end before `browse` returns: meanwhile this thread has to answer them.
            Thread(target=show, args=pages, daemon=True).start()

        try:
            serve(self._workspace.opener_of(grid), GatewaySettings(port=0), open_page)
        finally:
            for page in pages:
                page.unlink(missing_ok=True)
        return pages[0]

    def _write_page(self, address: str, name: str) -> Path:
        """Write the file that leads the browser to an address.

        Raises:
            LocalStateError: It can't be written.
        """
        from html import escape  # lazy import: a gateway does without it

        page = self._workspace.folders.state / name
        make_private_folder(page.parent)
        try:
            replace(page, _REDIRECTION.format(escape(address, quote=True)).encode(), Durability.NONE)
        except OSError as error:
            raise LocalStateError(f"{page}: can't write the page for the browser ({error.strerror})") from error
        return page


def _without_browser(page: Path) -> str:
    return f"{page}: no web browser found; open this page yourself, or set BROWSER"
