"""What goes over all that hangs below a place, as the commands of Tahoe-LAFS do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_from_bytes

from tallac.app.configuration.folders import make_private_folder, write_private
from tallac.app.workspace import Connection
from tallac.caps import DirectoryReadCap, WriteCap
from tallac.errors import LocalStateError, UsageError
from tallac.interfaces import CheckReport
from tallac.transfer import find

if TYPE_CHECKING:
    from tallac.look.manifest import Listed

_LEAD_ON = """<!doctype html>
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={}">
"""


class GridWide:
    """The part of `tallac.Client` that lists, checks and shows whole trees."""

    # Imports are late throughout, because most commands do without all this.

    connection: Connection

    def manifest(self, place: str) -> Iterator[Listed]:
        """List all that hangs below a place, each thing once."""
        from tallac.look.manifest import manifest  # late import: see above

        grid, located = self.connection.resolve(place)
        return manifest(grid, find(grid, located).cap)

    def deep_stats(self, place: str) -> dict[str, int]:
        """Count all that hangs below a place, each thing once; the keys are those of Tahoe-LAFS."""
        from tallac.look.deep_stats import deep_stats  # late import: see above
        from tallac.tahoe.grid import TahoeGrid  # late import: see above

        grid, located = self.connection.resolve(place)
        cap = find(grid, located).cap
        if isinstance(grid, TahoeGrid) and isinstance(cap, DirectoryReadCap):
            return grid.deep_stats(cap)
        return deep_stats(listed.cap for listed in self.manifest(place))

    def deep_check(
        self,
        place: str,
        *,
        read_data: bool = False,
        repair: bool = False,
        add_lease: bool = False,
        progress: Callable[[CheckReport], None] | None = None,
    ) -> CheckReport:
        """Check all that hangs below a place; on a Tahoe-LAFS grid repair it and renew its leases, where that is asked for.

        Raises:
            UsageError: A vault has neither repair of single objects nor leases.
        """
        from tallac.tahoe.grid import TahoeGrid  # late import: see above

        grid, located = self.connection.resolve(place)
        cap = find(grid, located).cap
        if isinstance(grid, TahoeGrid):
            return grid.check_and_repair(cap, verify=read_data, repair=repair, add_lease=add_lease, progress=progress)
        if repair or add_lease:
            raise UsageError(
                f"{place}: a vault has no leases, and is mended by a backup of what it holds; leave out --repair and --add-lease"
            )
        return grid.check(cap.read_cap if isinstance(cap, WriteCap) else cap, read_data=read_data, progress=progress)

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
        # late import: only this needs them
        import webbrowser
        from html import escape

        from tallac.tahoe.grid import TahoeGrid  # late import: see above

        grid, located = self.connection.resolve(place)
        if not isinstance(grid, TahoeGrid):
            raise UsageError(f"{place}: this is in a vault; start `tallac serve`, and give its URL with --node-url and a cap")
        parts = [quote(located.cap.danger_whole_text(), safe=""), *(quote_from_bytes(name, safe="") for name in located.path)]
        address = grid.client.url + "uri/" + "/".join(parts) + ("?t=info" if info else "")
        page = self.connection.folders.state / "webopen.html"
        make_private_folder(page.parent)
        try:
            write_private(page, _LEAD_ON.format(escape(address, quote=True)).encode())
        except OSError as error:
            raise LocalStateError(f"{page}: can't write what the browser is to open ({error.strerror})") from error
        if not (browse or webbrowser.open)(page.as_uri()):
            raise LocalStateError(f"{page}: no web browser was found to show this; open it yourself, or set BROWSER")
        return page
