"""The vault: Tallac's own grid, over any backend. docs/format.md describes what it stores."""

from typing import TYPE_CHECKING

from tallac.late import front

if TYPE_CHECKING:
    from tallac.vault.check_options import CheckOptions as CheckOptions, PackShare as PackShare, VaultChecker as VaultChecker
    from tallac.vault.clock import SystemClock as SystemClock
    from tallac.vault.envelopes import Envelope as Envelope, EnvelopeFile as EnvelopeFile, NamedCap as NamedCap
    from tallac.vault.figures import FigureGiver as FigureGiver, VaultFigures as VaultFigures
    from tallac.vault.grid import Vault as Vault, create_vault as create_vault, open_vault as open_vault
    from tallac.vault.header import mend_headers as mend_headers, read_identity as read_identity
    from tallac.vault.keys import (
        EnvelopeKey as EnvelopeKey,
        KeeperKey as KeeperKey,
        LocatorKey as LocatorKey,
        VaultKey as VaultKey,
        WriterKey as WriterKey,
        make_writer_key as make_writer_key,
        parse_envelope_key as parse_envelope_key,
        parse_vault_key as parse_vault_key,
    )
    from tallac.vault.mirror_report import MirrorOptions as MirrorOptions, MirrorReport as MirrorReport
    from tallac.vault.passphrases import Passphrases as Passphrases, SetPassphrase as SetPassphrase
    from tallac.vault.prune_report import PruneOptions as PruneOptions, Pruner as Pruner, PruneReport as PruneReport
    from tallac.vault.repair_report import Repairer as Repairer, RepairOptions as RepairOptions, RepairReport as RepairReport
    from tallac.vault.reserve import ReserveHolder as ReserveHolder
    from tallac.vault.state import open_state_folder as open_state_folder

__getattr__ = front(
    __name__,
    {
        "tallac.vault.check_options": "CheckOptions PackShare VaultChecker",
        "tallac.vault.clock": "SystemClock",
        "tallac.vault.envelopes": "Envelope EnvelopeFile NamedCap",
        "tallac.vault.figures": "FigureGiver VaultFigures",
        "tallac.vault.grid": "Vault create_vault open_vault",
        "tallac.vault.header": "mend_headers read_identity",
        "tallac.vault.keys": (
            "EnvelopeKey KeeperKey LocatorKey VaultKey WriterKey make_writer_key parse_envelope_key parse_vault_key"
        ),
        "tallac.vault.mirror_report": "MirrorOptions MirrorReport",
        "tallac.vault.passphrases": "Passphrases SetPassphrase",
        "tallac.vault.prune_report": "PruneOptions Pruner PruneReport",
        "tallac.vault.repair_report": "Repairer RepairOptions RepairReport",
        "tallac.vault.reserve": "ReserveHolder",
        "tallac.vault.state": "open_state_folder",
    },
)
