"""The library's front door: what the command does, for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, Self

from tallac.app.configuration.folders import Folders
from tallac.app.locations.grid_options import GridOptions
from tallac.app.workspace import Workspace

if TYPE_CHECKING:
    from tallac.app.operations.aliases import Aliases
    from tallac.app.operations.backup import Backups
    from tallac.app.operations.caches import VaultCaches
    from tallac.app.operations.gateway import GatewayRunner
    from tallac.app.operations.inspect import Inspector
    from tallac.app.operations.job_runner import JobRunner
    from tallac.app.operations.job_status import StatusReader
    from tallac.app.operations.jobs import Jobs
    from tallac.app.operations.keys import Keys
    from tallac.app.operations.maintenance import VaultMaintenance
    from tallac.app.operations.notices import Notices
    from tallac.app.operations.restore import Restores
    from tallac.app.operations.scheduling import Scheduling
    from tallac.app.operations.snapshots import Snapshots
    from tallac.app.operations.transfer import Files
    from tallac.app.operations.vault_settings import VaultSettings


class Client:
    """A user's Tallac: paths are written as on the command line, `ALIAS:PATH` or with a cap in place of the alias.

    Use it in a `with` block, or close it. Not thread-safe. Methods raise TallacErrors whose message is meant for the user.

    Attributes:
        workspace: Opens what the configuration names.
        backups, restores, snapshots, inspect, files, vault, aliases, keys, gateway: What can be done, by subject.
        jobs, job_runner, scheduling: Backups that run by themselves.
    """

    # Each service is imported when it is first used: a command uses one or two of them, and one on a Tahoe-LAFS node does without
    # ciphers, compressors and the vault.

    def __init__(
        self,
        folders: Folders | None = None,
        *,
        vault: str | None = None,
        vault_key_file: str | None = None,
        vault_key_command: str | None = None,
        store: Sequence[str] = (),
        retry_seconds: float | None = None,
        limit_upload: int | None = None,
        limit_download: int | None = None,
        connections: int | None = None,
        cache_size: int | None = None,
        lock_seconds: float | None = None,
        node_directory: str | None = None,
        node_url: str | None = None,
        standard_input: BinaryIO | None = None,
        may_ask: bool = True,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Use the user's own folders, or others; nothing is opened yet.

        Args:
            folders: Where configuration, state and default vault are.
            vault: A vault's folder or URL, where no alias says it.
            vault_key_file: Where to read the key of a vault that the configuration does not know; `-` for standard input.
            vault_key_command: A command that prints it.
            store: `KEY=VALUE` for locations in object stores and over SFTP that are written from here on.
            retry_seconds: How long a store that can't be reached is waited for; None for the default.
            limit_upload: Bytes a second to such a store; None for what is remembered with the vault, 0 for no limit.
            limit_download: Bytes a second from it; likewise.
            connections: Requests to it at a time; likewise.
            cache_size: How many bytes the cache of a distant vault may take; 0 for none, None for what the configuration says.
            lock_seconds: How long the store locks what is stored, and what is there when it is checked or pruned; likewise.
            node_directory: A Tahoe-LAFS node's folder, for its grid and aliases.
            node_url: A Tahoe-LAFS node's URL, for its grid.
            standard_input: What `-` stands for.
            may_ask: Whether a command or keyring may be asked for a key, which may in turn ask the user.
            warn: Told what did not work and can wait.
        """
        options = GridOptions(
            vault=vault,
            vault_key_file=vault_key_file,
            vault_key_command=vault_key_command,
            store=tuple(store),
            retry_seconds=retry_seconds,
            limit_upload=limit_upload,
            limit_download=limit_download,
            connections=connections,
            cache_size=cache_size,
            lock_seconds=lock_seconds,
            node_directory=node_directory,
            node_url=node_url,
        )
        self.workspace = Workspace(
            folders or Folders.standard(), options, standard_input=standard_input, may_ask=may_ask, warn=warn
        )
        self._standard_input = standard_input
        self._warn = warn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        self.workspace.close()

    @cached_property
    def backups(self) -> Backups:
        """Makes snapshots."""
        from tallac.app.operations.backup import Backups  # lazy import: see above

        return Backups(self.workspace, self.aliases, self._standard_input, self._warn)

    @cached_property
    def restores(self) -> Restores:
        """Restores what is stored."""
        from tallac.app.operations.restore import Restores  # lazy import: see above

        return Restores(self.workspace)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Lists snapshots, and decides which of them stay."""
        from tallac.app.operations.snapshots import Snapshots  # lazy import: see above

        return Snapshots(self.workspace, self._warn)

    @cached_property
    def inspect(self) -> Inspector:
        """Lists, compares, searches and counts."""
        from tallac.app.operations.inspect import Inspector  # lazy import: see above

        return Inspector(self.workspace)

    @cached_property
    def files(self) -> Files:
        """Moves single files and directories."""
        from tallac.app.operations.transfer import Files  # lazy import: see above

        return Files(self.workspace, lambda: self.snapshots)

    @cached_property
    def vault(self) -> VaultMaintenance:
        """Checks, prunes, repairs and mirrors vaults."""
        from tallac.app.operations.maintenance import VaultMaintenance  # lazy import: see above

        return VaultMaintenance(self.workspace)

    @cached_property
    def aliases(self) -> Aliases:
        """Makes, lists and removes aliases."""
        from tallac.app.operations.aliases import Aliases  # lazy import: see above

        return Aliases(self.workspace, self._warn)

    @cached_property
    def keys(self) -> Keys:
        """Hands out keys, and is about passphrases, key sources and recovery kits."""
        from tallac.app.operations.keys import Keys  # lazy import: see above

        return Keys(self.workspace, self._warn)

    @cached_property
    def caches(self) -> VaultCaches:
        """Shows and clears what is kept of distant vaults."""
        from tallac.app.operations.caches import VaultCaches  # lazy import: see above

        return VaultCaches(self.workspace)

    @cached_property
    def settings(self) -> VaultSettings:
        """Reads and changes what writers find in a vault."""
        from tallac.app.operations.vault_settings import VaultSettings  # lazy import: see above

        return VaultSettings(self.workspace)

    @cached_property
    def gateway(self) -> GatewayRunner:
        """Serves a grid over HTTP."""
        from tallac.app.operations.gateway import GatewayRunner  # lazy import: see above

        return GatewayRunner(self.workspace, self._warn)

    @cached_property
    def notices(self) -> Notices:
        """Sends messages about jobs."""
        from tallac.app.operations.notices import Notices  # lazy import: see above

        return Notices(self.jobs)

    @cached_property
    def status(self) -> StatusReader:
        """Reads how jobs and targets are."""
        from tallac.app.operations.job_status import StatusReader  # lazy import: see above

        return StatusReader(self.workspace, self.jobs)

    @cached_property
    def jobs(self) -> Jobs:
        """Reads jobs, and says when each is due and what its runs came to."""
        from tallac.app.operations.jobs import Jobs  # lazy import: see above

        return Jobs(self.workspace.folders)

    @cached_property
    def job_runner(self) -> JobRunner:
        """Runs jobs."""
        from tallac.app.operations.job_runner import JobRunner  # lazy import: see above
        from tallac.app.operations.job_steps import JobServices  # lazy import: see above

        services = JobServices(self.workspace, lambda: self.backups, lambda: self.snapshots, lambda: self.vault)
        return JobRunner(self.jobs, services)

    @cached_property
    def scheduling(self) -> Scheduling:
        """Has jobs run on time."""
        from tallac.app.operations.scheduling import Scheduling  # lazy import: see above

        return Scheduling(self.jobs)
