"""The caches of distant vaults on this machine: made where they are used, listed, and cleared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tallac.app.locations.store_urls import place_of
from tallac.app.locations.urls import show_location
from tallac.backends.store_cache import ENDING, CacheReport, StoreCache, cache_path, remove

SIZE_MAX_DEFAULT = 1_000_000_000
"""Bytes: the directories of some ten million files."""


class Caches:
    """The caches in one folder. Not thread-safe; a cache is."""

    def __init__(self, folder: Path, size_max: Callable[[], int | None]) -> None:
        """Open none yet; `size_max` gives how many bytes one may take, None for the default."""
        self._folder = folder
        self._size_max = size_max
        self._caches: dict[str, StoreCache] = {}

    def at(self, url: str) -> StoreCache:
        """Return the cache of the store at a location."""
        place = place_of(url)
        if place not in self._caches:
            self._caches[place] = StoreCache(cache_path(self._folder, place), show_location(url), self.size_max)
        return self._caches[place]

    @property
    def size_max(self) -> int:
        """How many bytes each may take."""
        size_max = self._size_max()
        return SIZE_MAX_DEFAULT if size_max is None else size_max

    def reports(self) -> list[CacheReport]:
        """Return what each of them holds, the largest first."""
        reports = []
        for path in self._folder.glob(f"*{ENDING}"):
            cache = StoreCache(path, "", SIZE_MAX_DEFAULT)
            reports.append(cache.report())
            cache.close()
        return sorted(reports, key=lambda report: (-report.size, report.location))

    def clear(self, url: str | None) -> int:
        """Delete the cache of the store at a location, or all of them; return how many bytes that frees."""
        reports = [report for report in self.reports() if url is None or report.path == cache_path(self._folder, place_of(url))]
        for report in reports:
            remove(report.path)
        return sum(report.size for report in reports)

    def warnings(self) -> list[str]:
        """Return what was wrong with those that were used, a sentence for each."""
        return [cache.warning for cache in self._caches.values() if cache.warning]

    def close_all(self) -> None:
        """Write what waits, and close all of them."""
        for cache in self._caches.values():
            cache.close()
