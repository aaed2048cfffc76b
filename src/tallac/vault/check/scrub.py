"""Scrub: find damage in a vault without any key.

Packs and index objects are named by their hash; headers, passphrases and envelopes have checks of their own, and are kept twice.
"""

from __future__ import annotations

import re

from tallac.errors import ObjectNotFoundError, StoreError, UnsupportedFormatError, VaultNotFoundError
from tallac.interfaces import Backend, CheckProgress, CheckReport, Finding
from tallac.vault.access.duplicates import check_duplicates
from tallac.vault.access.envelopes import ENVELOPE_PREFIX
from tallac.vault.access.passphrases import PASSPHRASE_PREFIX
from tallac.vault.format.header import check_headers, read_header
from tallac.vault.index.index_objects import INDEX_PREFIX
from tallac.vault.packs.pack import PACK_PREFIX
from tallac.vault.packs.verifier import hash_object
from tallac.vault.reserve import RESERVE_PREFIX

_KINDS = {"packs": "pack", "index": "index object", "reserve": "piece of the reserve"}
_DUPLICATED_PREFIXES = (PASSPHRASE_PREFIX, ENVELOPE_PREFIX)
_SELF_NAMED = re.compile(f"(?:{PACK_PREFIX}|{INDEX_PREFIX}|{RESERVE_PREFIX})([0-9a-f]{{64}})")


class Scrub:
    """One pass over everything in a vault that names itself. Nothing is changed."""

    def __init__(self, backend: Backend, progress: CheckProgress | None = None) -> None:
        """Nothing is read yet. What is found comes in `report`."""
        self._backend = backend
        self._progress = progress
        self.report = CheckReport()

    def run(self) -> None:
        """Look at all of it, in the order of the names, going on after each finding.

        Raises:
            VaultNotFoundError: There is nothing of a vault.
            UnsupportedFormatError: The vault is of a newer format, and is left alone.
            StoreError: The store can't be listed.
        """
        listed = {item.name: item.size for item in self._backend.list("")}
        sizes = {name: size for name, size in listed.items() if _SELF_NAMED.fullmatch(name)}
        self._check_headers(is_vault=bool(sizes))
        duplicated = [name for name in listed if name.startswith(_DUPLICATED_PREFIXES)]
        self.report.findings.extend(check_duplicates(self._backend, duplicated))
        self.report.bytes_total = sum(sizes.values())
        for name in sorted(sizes):
            self._check(name)
            self.report.objects += 1
            self._report_progress()

    def _check_headers(self, *, is_vault: bool) -> None:
        try:
            identity = read_header(self._backend).identity
        except UnsupportedFormatError:
            raise
        except StoreError as error:
            # A vault that has lost its headers is one nevertheless.
            if not is_vault and isinstance(error, VaultNotFoundError):
                raise
            self._find("header", f"neither header is intact ({error}); `tallac repair` with a key rewrites them")
            return
        for wrong in check_headers(self._backend, identity):
            self._find("header", f"{wrong}; the other copy is used meanwhile")

    def _check(self, name: str) -> None:
        kind, _, digits = name.partition("/")
        message = f"{_KINDS[kind]} {digits[:12]}"
        try:
            if hash_object(self._backend, name, self._count).hex() != digits:
                self._find(name, f"{message} is damaged")
        except ObjectNotFoundError:
            # A prune that runs at the same time has deleted it since it was listed.
            self.report.findings.append(Finding(None, f"{message} disappeared meanwhile", damaged=False, stored=name))
        except StoreError as error:
            self._find(name, f"{message} can't be read: {error}")

    def _count(self, size: int) -> None:
        self.report.bytes_read += size
        self._report_progress()

    def _find(self, name: str, message: str) -> None:
        self.report.findings.append(Finding(None, message, stored=name))

    def _report_progress(self) -> None:
        if self._progress is not None:
            self._progress(self.report)
