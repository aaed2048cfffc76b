"""Tahoe-LAFS grids that a user names: by a node's directory, by its gateway's URL, or by an alias of either."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tallac.app.configuration.folders import Folders, make_private_folder
from tallac.app.locations.grid_options import GridOptions, refuse_locks
from tallac.app.locations.grid_path import DEFAULT_ALIAS
from tallac.app.locations.tahoe_urls import PLAIN_PREFIX, directory_of, is_tahoe, parse_tahoe_location, url_of
from tallac.caps import Cap, parse
from tallac.errors import AliasError, LocalStateError, MalformedCapError, UsageError
from tallac.interfaces import Grid
from tallac.local_files import locked
from tallac.tahoe.node_directory import ROOT_ALIAS, NodeDirectory


def identity_of(location: str) -> str:
    """Return the name of a grid's local state; a gateway that is named in two ways is two grids, which is harmless."""
    return "tahoe-" + hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()[:24]


class TahoeNodes:
    """Opens Tahoe-LAFS grids, each once. Not thread-safe."""

    def __init__(self, folders: Folders, options: GridOptions) -> None:
        self._folders = folders
        self._options = options
        self._open_grids: dict[str, Grid] = {}

    def close(self) -> None:
        """Close all grids."""
        while self._open_grids:
            self._open_grids.popitem()[1].close()

    def chosen(self) -> str | None:
        """Return the location that the command line chose; None where it chose no Tahoe-LAFS grid.

        Raises:
            UsageError: It names two grids.
        """
        options = self._options
        chosen = options.vault if options.vault is not None and is_tahoe(options.vault) else None
        has_node = options.node_directory is not None or options.node_url is not None
        if has_node and (options.vault is not None or options.gives_key):
            raise UsageError("--node-directory and --node-url name the grid; leave out --vault and --vault-key")
        if options.node_url is not None:
            chosen = PLAIN_PREFIX + options.node_url
        elif options.node_directory is not None:
            chosen = PLAIN_PREFIX + options.node_directory
        return None if chosen is None else parse_tahoe_location(chosen)

    def chosen_directory(self) -> NodeDirectory | None:
        """Return the node's directory whose aliases count; None where the command line names none."""
        chosen = self.chosen()
        if self._options.node_directory is not None:
            return directory_of(parse_tahoe_location(PLAIN_PREFIX + self._options.node_directory))
        return None if chosen is None else directory_of(chosen)

    @property
    def is_node_directory_given(self) -> bool:
        """Whether the command line uses a node's directory in place of the user's own configuration."""
        return self._options.node_directory is not None

    def aliases(self) -> list[tuple[str, str]]:
        """List the aliases of the chosen node's directory, each with its location."""
        directory = self.chosen_directory()
        return [] if directory is None else [(name, f"{PLAIN_PREFIX}{directory}") for name in sorted(directory.aliases())]

    def find_alias(self, name: str) -> Cap | None:
        """Return the cap of one of the chosen node's own aliases; None where it has none of this name, or no node is chosen.

        The default alias is `tahoe` there, unless there is one of Tallac's name.

        Raises:
            LocalStateError: Its cap is damaged, or the aliases can't be read.
        """
        directory = self.chosen_directory()
        aliases = {} if directory is None else directory.aliases()
        text = aliases.get(name)
        if text is None and name == DEFAULT_ALIAS:
            text = aliases.get(ROOT_ALIAS)
        if text is None:
            return None
        try:
            return parse(text)
        except MalformedCapError as error:
            raise LocalStateError(f"{directory}: the cap of alias {name!r} is damaged: {error}") from error

    def require_free(self, name: str) -> None:
        """Raise an AliasError where the chosen node has an alias of this name."""
        directory = self.chosen_directory()
        if directory is not None and name in directory.aliases():
            raise AliasError(f"{directory}: this node has an alias {name!r} already; choose another name")

    def add_alias(self, name: str, cap: Cap) -> None:
        """Add an alias to the chosen node's directory; nowhere, where only a URL is known.

        Raises:
            AliasError: The name is taken.
        """
        directory = self.chosen_directory()
        if directory is not None:
            directory.add_alias(name, cap.danger_whole_text())

    def open(self, location: str) -> Grid:
        """Open the grid at a location, or give the open one.

        Raises:
            StoreError: The node's directory has no URL.
            LocalStateError: Local state can't be kept.
        """
        identity = identity_of(location)
        if identity not in self._open_grids:
            self._open_grids[identity] = self.opener(location)()
        return self._open_grids[identity]

    def opener(self, location: str) -> Callable[[], Grid]:
        """Return a function that opens the grid at a location anew; the caller closes what it returns. Raises as `open` does."""
        # lazy import: a command on a vault does without the web.
        from tallac.tahoe.grid import TahoeGrid

        url, identity = url_of(location), identity_of(location)
        make_private_folder(self._folders.state)
        before_change = partial(refuse_locks, location) if self._options.lock_seconds else lambda: None
        lock = partial(self._locked, identity)
        return lambda: TahoeGrid(url, self._folders.state, identity=identity, lock=lock, before_change=before_change)

    def has_opened(self, grid: Grid) -> bool:
        """Whether a grid is one of these."""
        return any(grid is other for other in self._open_grids.values())

    @contextmanager
    def _locked(self, identity: str) -> Iterator[None]:
        path = self._folders.state / f"{identity}.lock"
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(path))
            except OSError as error:
                raise LocalStateError(f"{path}: can't lock it ({error.strerror})") from error
            yield
