"""Ranged reads of packs, each a little longer than asked for: what is stored together is mostly read together."""

from __future__ import annotations

from collections import OrderedDict

from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError
from tallac.interfaces import Backend
from tallac.vault.packs import pack_path

WINDOW_SIZE = 1 << 18
WINDOWS_A_PACK = 2
PACKS_MAX = 16


class PackWindows:
    """The stretches of packs that were read last: 8 MiB at most. Not thread-safe."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is read yet."""
        self._backend = backend
        self._windows: OrderedDict[bytes, list[tuple[int, bytes]]] = OrderedDict()

    def read(self, pack: bytes, start: int, stop: int) -> bytes:
        """Read bytes [start, stop) of a pack.

        Raises:
            MissingObjectError: There is no such pack.
            CorruptObjectError: It ends before.
        """
        windows = self._windows.get(pack)
        if windows is not None:
            for begin, content in windows:
                if begin <= start and stop <= begin + len(content):
                    return content[start - begin : stop - begin]
        content = self._get(pack, start, max(stop, start + WINDOW_SIZE))
        if len(content) < stop - start:
            raise CorruptObjectError(f"pack {pack.hex()[:12]} in {self._backend.location()} is cut short")
        if stop - start < WINDOW_SIZE:
            self._keep(pack, start, content)
        return content[: stop - start]

    def _get(self, pack: bytes, start: int, stop: int) -> bytes:
        try:
            return self._backend.get(pack_path(pack), start, stop)
        except ObjectNotFoundError:
            raise MissingObjectError(f"pack {pack.hex()[:12]} in {self._backend.location()} is missing") from None

    def _keep(self, pack: bytes, start: int, content: bytes) -> None:
        windows = self._windows.setdefault(pack, [])
        windows.insert(0, (start, content))
        del windows[WINDOWS_A_PACK:]
        self._windows.move_to_end(pack)
        if len(self._windows) > PACKS_MAX:
            self._windows.popitem(last=False)
