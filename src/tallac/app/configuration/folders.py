"""This machine, as Tallac sees it: the folders in which it keeps its own files, and the name by which snapshots know it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tallac.errors import LocalStateError, OutputError, UsageError
from tallac.local_files import create, make_private_folders

HOME_VARIABLE = "TALLAC_HOME"
HOST_VARIABLE = "TALLAC_HOST"
SYSTEM_CONFIGURATION = Path("/etc/tallac")


class Folders(msgspec.Struct, frozen=True):
    """The folders of a user's Tallac.

    Attributes:
        configuration: Aliases and vault keys; whoever loses it loses the vaults, unless there is a copy.
        state: Whatever can be made again: local indexes, the source database, the memory of rollbacks.
        vault: Where the first backup makes a vault, if nobody said otherwise.
        system: Where the machine's own jobs are, which root runs; None for any other user.
        cache: What was read from distant stores, which may be deleted at any time; None for a folder in `state`.
    """

    configuration: Path
    state: Path
    vault: Path
    system: Path | None = None
    cache: Path | None = None

    @property
    def caches(self) -> Path:
        """The folder of the caches of distant stores."""
        return self.state / "cache" if self.cache is None else self.cache

    @property
    def job_files(self) -> tuple[Path, ...]:
        """The files that say which jobs there are; they need not exist. The last one is where a new job is written."""
        folders = (self.configuration,) if self.system is None else (self.system, self.configuration)
        return tuple(folder / "jobs.toml" for folder in folders)

    @property
    def dumps(self) -> Path:
        """The folder in which jobs put dumps of databases while they back them up."""
        return self.vault.parent / "dumps"

    @classmethod
    def standard(cls, environment: Mapping[str, str] = os.environ) -> Folders:
        """Return the platform's folders, or those under `TALLAC_HOME` where it is set.

        Raises:
            LocalStateError: The user has no home folder.
        """
        home = environment.get(HOME_VARIABLE)
        if home:
            return cls.under(Path(home))
        # lazy import: it costs more time than the rest of a short command; with TALLAC_HOME it is not needed.
        import platformdirs

        try:
            return cls(
                configuration=platformdirs.user_config_path("tallac"),
                state=platformdirs.user_state_path("tallac"),
                vault=platformdirs.user_data_path("tallac") / "vault",
                system=SYSTEM_CONFIGURATION if os.name == "posix" and os.geteuid() == 0 else None,
                cache=platformdirs.user_cache_path("tallac"),
            )
        except RuntimeError as error:
            raise LocalStateError(
                f"this user has no home folder; set HOME, or {HOME_VARIABLE} to a folder for Tallac's own"
            ) from error

    @classmethod
    def under(cls, home: Path) -> Folders:
        """Return all of them below one folder."""
        home = Path(os.path.abspath(home))
        return cls(home / "config", home / "state", home / "vault", cache=home / "cache")


def host_name(environment: Mapping[str, str] = os.environ) -> str:
    """Return the machine's host name, or what `TALLAC_HOST` says: a container has another host name each time."""
    return environment.get(HOST_VARIABLE) or platform.node()


def make_private_folder(folder: Path) -> None:
    """Make a folder that only the user can enter, where there is none; likewise its parents that are missing.

    Raises:
        LocalStateError: It can't be made.
    """
    try:
        make_private_folders(folder)
    except OSError as error:
        raise LocalStateError(
            f"{folder}: can't create this folder ({error.strerror}); choose another folder with {HOME_VARIABLE}"
        ) from error


def write_new_private_file(path: Path, content: bytes) -> None:
    """Make a file with this content; durable when this returns.

    Raises:
        UsageError: There is such a file.
        OutputError: It can't be written.
    """
    try:
        create(path, content)
    except FileExistsError:
        raise UsageError(f"{path}: there is such a file already; choose another name") from None
    except OSError as error:
        raise OutputError(f"{path}: can't write it ({error.strerror})") from error
