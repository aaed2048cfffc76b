"""URL and caps -> grid, as the user's configuration and command line have them."""

from typing import TYPE_CHECKING

from tallac.late import front

if TYPE_CHECKING:
    from tallac.connect.client import Client as Client
    from tallac.connect.configuration import (
        Alias as Alias,
        Configuration as Configuration,
        ConfigurationFile as ConfigurationFile,
        KnownGrid as KnownGrid,
    )
    from tallac.connect.connection import Connection as Connection
    from tallac.connect.entering import Connected as Connected
    from tallac.connect.folders import Folders as Folders
    from tallac.connect.grid_choice import GridChoice as GridChoice
    from tallac.connect.key_sources import KeyPlace as KeyPlace
    from tallac.connect.looking import PathHistory as PathHistory
    from tallac.connect.passphrase_input import PassphraseChoice as PassphraseChoice
    from tallac.connect.recovery_kit import RecoveryKit as RecoveryKit
    from tallac.connect.written_place import DEFAULT_ALIAS as DEFAULT_ALIAS, is_remote as is_remote
    from tallac.vault import (
        MirrorOptions as MirrorOptions,
        MirrorReport as MirrorReport,
        PackShare as PackShare,
        PruneOptions as PruneOptions,
        PruneReport as PruneReport,
        RepairOptions as RepairOptions,
        RepairReport as RepairReport,
        VaultFigures as VaultFigures,
    )

__getattr__ = front(
    __name__,
    {
        "tallac.connect.client": "Client",
        "tallac.connect.configuration": "Alias Configuration ConfigurationFile KnownGrid",
        "tallac.connect.connection": "Connection",
        "tallac.connect.entering": "Connected",
        "tallac.connect.folders": "Folders",
        "tallac.connect.key_sources": "KeyPlace",
        "tallac.connect.looking": "PathHistory",
        "tallac.connect.passphrase_input": "PassphraseChoice",
        "tallac.connect.recovery_kit": "RecoveryKit",
        "tallac.connect.grid_choice": "GridChoice",
        "tallac.connect.written_place": "DEFAULT_ALIAS is_remote",
        "tallac.vault": "MirrorOptions MirrorReport PackShare PruneOptions PruneReport RepairOptions RepairReport VaultFigures",
    },
)
