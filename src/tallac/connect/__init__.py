"""URL and caps -> grid, as the user's configuration and command line have them."""

from tallac.connect.client import Client
from tallac.connect.configuration import Alias, Configuration, ConfigurationFile, KnownGrid
from tallac.connect.connection import Connection
from tallac.connect.entering import Connected
from tallac.connect.folders import Folders
from tallac.connect.key_sources import KeyPlace
from tallac.connect.looking import PathHistory
from tallac.connect.passphrase_input import PassphraseChoice
from tallac.connect.recovery_kit import RecoveryKit
from tallac.connect.vaults import GridChoice
from tallac.connect.written_place import DEFAULT_ALIAS, is_remote
from tallac.vault import (
    MirrorOptions,
    MirrorReport,
    PackShare,
    PruneOptions,
    PruneReport,
    RepairOptions,
    RepairReport,
    VaultFigures,
)

__all__ = [
    "DEFAULT_ALIAS",
    "Alias",
    "Client",
    "Configuration",
    "ConfigurationFile",
    "Connected",
    "Connection",
    "Folders",
    "GridChoice",
    "KeyPlace",
    "KnownGrid",
    "MirrorOptions",
    "MirrorReport",
    "PackShare",
    "PassphraseChoice",
    "PathHistory",
    "PruneOptions",
    "PruneReport",
    "RecoveryKit",
    "RepairOptions",
    "RepairReport",
    "VaultFigures",
    "is_remote",
]
