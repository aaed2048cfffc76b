"""Decide whether objects that were stored earlier can be reused."""

from __future__ import annotations

from collections.abc import Iterator

from tallac.caps import DirectoryReadCap
from tallac.dag import EncodedCap, decode_cap
from tallac.errors import DamageError, ObjectNotFoundError
from tallac.tahoe.health import HealthRecord
from tallac.tahoe.reading import TahoeReader
from tallac.webapi import WebClient


class Holding:
    """Answers whether a grid still holds an object, from the record or from a check.

    Attributes:
        health: The record of earlier checks.
    """

    def __init__(self, client: WebClient, reader: TahoeReader, health: HealthRecord) -> None:
        self.health = health
        self._client = client
        self._reader = reader
        self._unhealthy: set[bytes] = set()

    def still_holds(self, encoded: bytes) -> bool:
        """Whether a stored object can be reused.

        For a directory, its files are included: nothing else asks for them while the directory is unchanged.
        """
        if EncodedCap(encoded).is_literal:
            return True
        if encoded in self._unhealthy:
            return False
        if not self.health.is_due(encoded):
            return True
        return self._is_healthy(encoded) and all(self._is_healthy(file) for file in self._due_files(encoded))

    def _is_healthy(self, encoded: bytes) -> bool:
        cap = decode_cap(encoded)
        try:
            is_healthy = self._client.check(cap.danger_whole_text(), where=str(cap)).is_healthy
        except (DamageError, ObjectNotFoundError):
            is_healthy = False
        if is_healthy:
            self.health.saw(encoded)
        else:
            self._unhealthy.add(encoded)
        return is_healthy

    def _due_files(self, encoded: bytes) -> Iterator[bytes]:
        cap = decode_cap(encoded)
        if not isinstance(cap, DirectoryReadCap):
            return
        for entry in self._reader.read_directory(cap):
            if not entry.is_directory and not EncodedCap(entry.encoded).is_literal_file and self.health.is_due(entry.encoded):
                yield entry.encoded
