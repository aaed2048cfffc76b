"""The vault: Tallac's own grid, over any backend. docs/format.md describes what it stores."""

from tallac.vault.check_options import CheckOptions, PackShare, VaultChecker
from tallac.vault.envelopes import Envelope, EnvelopeFile
from tallac.vault.figures import FigureGiver, VaultFigures
from tallac.vault.grid import SystemClock, Vault, create_vault, make_writer_key, open_vault, read_identity
from tallac.vault.header import mend_headers
from tallac.vault.keys import EnvelopeKey, KeeperKey, LocatorKey, VaultKey, WriterKey, parse_envelope_key, parse_vault_key
from tallac.vault.mirror_report import MirrorOptions, MirrorReport
from tallac.vault.passphrases import Passphrases, SetPassphrase
from tallac.vault.prune_report import PruneOptions, Pruner, PruneReport
from tallac.vault.repair_report import Repairer, RepairOptions, RepairReport
from tallac.vault.reserve import ReserveHolder
from tallac.vault.state import open_state_folder

__all__ = [
    "CheckOptions",
    "Envelope",
    "EnvelopeFile",
    "EnvelopeKey",
    "FigureGiver",
    "KeeperKey",
    "LocatorKey",
    "MirrorOptions",
    "MirrorReport",
    "PackShare",
    "Passphrases",
    "PruneOptions",
    "PruneReport",
    "Pruner",
    "RepairOptions",
    "RepairReport",
    "Repairer",
    "ReserveHolder",
    "SetPassphrase",
    "SystemClock",
    "Vault",
    "VaultChecker",
    "VaultFigures",
    "VaultKey",
    "WriterKey",
    "create_vault",
    "make_writer_key",
    "mend_headers",
    "open_state_folder",
    "open_vault",
    "parse_envelope_key",
    "parse_vault_key",
    "read_identity",
]
