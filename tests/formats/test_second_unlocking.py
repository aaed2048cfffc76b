from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.command import Tallac
from tests.formats.second_reader import Folder, Vault
from tests.formats.second_unlocking import unlock
from tests.formats.second_values import FormatError


@pytest.mark.slow
def test_a_passphrase_leads_to_the_same_for_both(tallac: Tallac, source: Path) -> None:
    """What the page describes is what is stored: passphrases, labels, and an envelope that has grown since."""
    # As users start it, so that the cost of a passphrase is the real one.
    tallac = replace(tallac, is_warm=False)
    tallac("backup", source)
    before_ns = time.time_ns()
    for label, passphrase in (("one", "erstes Paßwort mit ü"), ("two", "the second")):
        tallac("add-passphrase", "--label", label, "--passphrase-file", "-", stdin=passphrase.encode())
    tallac("create-alias", "later")
    stored = Folder(tallac.vault)
    found = unlock(stored, "the second")
    assert (found.label, before_ns < found.set_ns < time.time_ns()) == ("two", True)
    assert found.aliases == [(name, tallac("cap", "--write", f"{name}:").out.decode().strip()) for name in ("later", "tallac")]
    other = unlock(stored, "erstes Paßwort mit u\N{COMBINING DIAERESIS}")
    assert (other.label, other[2:]) == ("one", found[2:])
    vault = Vault(stored, found.vault_key)
    names = [entry.name for entry in vault.directory(dict(found.aliases)["tallac"])]
    assert names == [b"Archives", b"Latest"]
    with pytest.raises(FormatError, match="leads nowhere"):
        unlock(stored, "the third")
