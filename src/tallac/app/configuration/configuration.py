"""The user's configuration: which vaults there are, with their keys, and which aliases.

One JSON file, readable by the user alone from its first moment, replaced as a whole. It may be a symbolic link, as in a folder of
settings that is kept elsewhere: then what it leads to is replaced. It holds secrets: no `repr` shows them.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import msgspec

from tallac.app.configuration.folders import HOME_VARIABLE, make_private_folder
from tallac.errors import ConfigurationError
from tallac.local_files import Durability, create, locked, replace

# Who owns a file there, and with which rights, is said when they are mounted.
_WITHOUT_MODES = frozenset({"9p", "cifs", "drvfs", "exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "smb3", "vfat"})

FORMAT = 1
SIZE_MAX = 64 << 20


class KeySource(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a vault key is that the configuration does not hold: one of three places.

    Attributes:
        mark: Tells whether what is found there is that key; it gives no authority.
        file: A file's absolute name.
        command: A command that prints it.
        keyring: An entry in the system keyring.
    """

    mark: str
    file: str = ""
    command: str = ""
    keyring: str = ""

    def __str__(self) -> str:
        """Return the place in a user's words."""
        if self.file:
            return f"the file {self.file}"
        return f"the output of `{self.command}`" if self.command else f"the entry {self.keyring!r} of the system keyring"


class KnownGrid(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A grid that the user has the keys of.

    Attributes:
        location: The URL where it is.
        vault_key: The vault key's whole text, a secret; "" where it is kept elsewhere, and for a Tahoe-LAFS grid, which has none.
        key_source: Where it is kept instead. Then the other secrets of this grid are sealed under it; see `keys/sealed_secrets.py`.
        envelope_key: The key of the user's envelope in that vault, a secret; "" where no passphrase leads there.
        enveloped: Tells whether the envelope holds what this file does: a hash of what this machine last put there.
    """

    location: str
    vault_key: str
    key_source: KeySource | None = None
    envelope_key: str = ""
    enveloped: str = ""

    def __repr__(self) -> str:
        """Show where it is; the key is a secret, and so is a cap in the location."""
        return f"<KnownGrid {self.location.partition('/URI:')[0]}>"


class Alias(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name for a root directory on a grid.

    Attributes:
        grid: The grid's identity.
        cap: The directory's cap, whole text, a secret.
    """

    grid: str
    cap: str

    def __repr__(self) -> str:
        """Show the grid; the cap is a secret."""
        return f"<Alias on {self.grid}>"


class Configuration(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The content of the file.

    Attributes:
        format: The file's format, 1.
        grids: By their identity.
        aliases: By their name, without the colon.
        unfinished: Vault keys, by location, of vaults that are being made: written before the vault, so that a run that is
            killed in between can be taken up again.
        cache_size: How many bytes the cache of each distant vault may take; UNSET for the default.
    """

    format: int = FORMAT
    grids: dict[str, KnownGrid] = {}
    aliases: dict[str, Alias] = {}
    unfinished: dict[str, str] = {}
    cache_size: int | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        """Show counts; the rest is secret."""
        return f"<Configuration of {len(self.grids)} grids, {len(self.aliases)} aliases>"


class _Header(msgspec.Struct):
    """The field that every format of the file has."""

    format: int


class ConfigurationFile:
    """The configuration on disk.

    Several processes may use it at a time: readers see a whole state, and of updates none is lost.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None] = lambda _: None, *, state: Path | None = None) -> None:
        """Name the file; nothing is read yet. `warn` is told once where others than the user can read it.

        The folder of the local state must be as safe from others as the file is.
        """
        self._folder = folder
        self._state = state or folder
        self._warn = warn
        self._is_judged = False
        self.path = folder / "tallac.json"

    def read(self) -> Configuration:
        """Read it as it is now; an empty one where there is no file.

        Raises:
            ConfigurationError: It can't be read, is malformed, belongs to a newer Tallac, or can be changed by others.
        """
        try:
            with self.path.open("rb") as file:
                self._judge(os.fstat(file.fileno()))
                text = file.read(SIZE_MAX + 1)
        except FileNotFoundError:
            self._require_place()
            return Configuration()
        except OSError as error:
            raise self._unusable(f"{self.path}: can't read the configuration", error) from error
        return self._decode(text)

    @contextmanager
    def updating(self) -> Iterator[Configuration]:
        """Change the configuration: what the block did to it is durable when the block has been left.

        An exception in the block leaves the file as it was, or as the last `write` in the block left it. Others wait meanwhile.

        Raises:
            ConfigurationError: It can't be read or written.
        """
        make_private_folder(self._folder)
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self._folder / "lock"))
            except OSError as error:
                raise self._unusable(f"{self._folder}: can't lock the configuration", error) from error
            configuration = self.read()
            before = _encode(configuration)
            yield configuration
            if _encode(configuration) != before:
                self.write(configuration)

    def write(self, configuration: Configuration) -> None:
        """Replace the file, atomically and durably. Only for who is in an `updating` block.

        Raises:
            ConfigurationError: It can't be written; the file is as it was.
        """
        path = self._real_path()
        new = path.with_name(path.name + ".new")
        try:
            replace(path, _encode(configuration), Durability.FULL, temporary=new)
        except OSError as error:
            raise ConfigurationError(f"{self.path}: can't write the configuration ({error.strerror}); it is unchanged") from error

    def keep_copy(self) -> Path:
        """Keep the file as it is now beside itself, under a new name, durably. Only for who is in an `updating` block.

        Raises:
            ConfigurationError: It can't be kept; nothing was changed.
        """
        path = self._real_path()
        try:
            content = path.read_bytes()
            for number in count(1):
                kept = path.with_name(f"{path.name}.old{'' if number == 1 else f'-{number}'}")
                with suppress(FileExistsError):
                    create(kept, content)
                    return kept
        except OSError as error:
            raise ConfigurationError(
                f"{self.path}: can't keep a copy of the configuration ({error.strerror}); it is unchanged"
            ) from error
        raise AssertionError("numbers end")

    def _real_path(self) -> Path:
        """Return where the file is, behind all symbolic links; the links stay."""
        return Path(os.path.realpath(self.path))

    def _require_place(self) -> None:
        """Distinguish a link to a folder that is away, on a detached disk, from a configuration that nobody has made yet."""
        real = self._real_path()
        if self.path.is_symlink() and not real.parent.is_dir():
            raise ConfigurationError(
                f"{self.path}: this configuration is a link to {real}, whose folder is not there; attach its disk, or mend the link"
            )

    def _judge(self, file: os.stat_result) -> None:
        """Refuse, as ssh does, what others can write, and warn, once, where they can read.

        Raises:
            ConfigurationError: Others than the user and root can change the file, its folder, or the folder of the local state.
        """
        # Windows has no such bits: Python makes them up.
        if self._is_judged or sys.platform == "win32":
            return
        places = [(self.path, file, "600")]
        for folder in (self._folder, self._folder.parent, self._state):
            with suppress(OSError):
                places.append((folder, folder.stat(), "700"))
        for place, status, mode in places:
            _require_own(place, status, mode)
        self._is_judged = True
        if stat.S_IMODE(file.st_mode) & 0o066:
            import shlex  # lazy import: only rights that are wrong need it

            remedy = f"`chmod 600 {shlex.quote(str(self.path))}`"
            self._warn(f"{self.path}: others on this machine can read the keys in it; run {remedy}")

    def _unusable(self, kind: str, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"{kind} ({error.strerror}); check its permissions, or choose another folder with {HOME_VARIABLE}"
        )

    def _decode(self, text: bytes) -> Configuration:
        if len(text) > SIZE_MAX:
            raise ConfigurationError(f"{self.path}: the configuration is larger than {SIZE_MAX >> 20} MiB; restore a copy of it")
        try:
            if msgspec.json.decode(text, type=_Header).format > FORMAT:
                raise ConfigurationError(f"{self.path}: a newer Tallac wrote this configuration; upgrade to use it")
            return msgspec.json.decode(text, type=Configuration)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            # The reason names fields and offsets, never values.
            raise ConfigurationError(f"{self.path}: the configuration is malformed ({error}); restore a copy of it") from error


def _require_own(place: Path, status: os.stat_result, mode: str) -> None:
    """Refuse what another user owns, or anybody can write.

    A configuration says which commands give keys, and where backups go; the local state, which state of a vault was the newest.
    """
    is_foreign = status.st_uid not in _trusted_owners()
    # In a folder with the sticky bit, as /tmp has it, nobody can replace another's files.
    is_open = bool(status.st_mode & stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
    if not (is_foreign or is_open):
        return
    import shlex  # lazy import: only rights that are wrong need it

    from tallac.mounts import file_system_kind  # lazy import: likewise

    if file_system_kind(str(place)) in _WITHOUT_MODES:
        return
    quoted = shlex.quote(str(place))
    if is_foreign:
        remedy = f"sudo chown {os.geteuid()} {quoted}"
        raise ConfigurationError(f"{place}: another user owns it and can change it; look at what it says, then run `{remedy}`")
    raise ConfigurationError(
        f"{place}: anybody on this machine can change it; look at what it says, then run `chmod {mode} {quoted}`"
    )


def _trusted_owners() -> frozenset[int]:
    """Return the numbers of the users whose files this user's commands may obey: this one, root, and who called sudo."""
    own = os.geteuid()
    caller = os.environ.get("SUDO_UID", "") if own == 0 else ""
    return frozenset((0, own, int(caller)) if caller.isascii() and caller.isdecimal() else (0, own))


def _encode(configuration: Configuration) -> bytes:
    return msgspec.json.format(msgspec.json.encode(configuration, order="deterministic"), indent=2) + b"\n"
