"""Move sealed objects from one pack to another as they are: nothing is opened, nothing is sealed again."""

from __future__ import annotations

from collections.abc import Callable

from tallac.crypto.hashing import hash_file_bytes
from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError
from tallac.interfaces import Backend, Randomness
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, ObjectLocation, decode_body
from tallac.vault.mutable.pending_deletions import PendingPack
from tallac.vault.packs.pack import pack_path, read_footer
from tallac.vault.packs.pack_writer import PackUploader, PackWriter, uploads_max


class Repacking:
    """New packs, filled from old ones. Not thread-safe."""

    def __init__(self, backend: Backend, structure_key: bytes, randomness: Randomness) -> None:
        """Nothing is written yet."""
        self._backend = backend
        self._structure_key = structure_key
        self._codec = Codec()
        self._committer = PackUploader(uploads_max(backend))
        self._chunks = PackWriter(backend, structure_key, self._codec, randomness, self._committer)
        self._nodes = PackWriter(backend, structure_key, self._codec, randomness, self._committer)

    def move(self, entry: PendingPack, is_elsewhere: Callable[[bytes], bool]) -> None:
        """Take over what stays of a pack, unless another pack has it by now.

        The whole pack's hash is checked before a byte of it is believed.

        Raises:
            MissingObjectError, CorruptObjectError: The pack is lost or damaged.
        """
        try:
            content = self._backend.get(pack_path(entry.pack))
            if hash_file_bytes(content) != entry.pack:
                raise CorruptObjectError(f"pack {entry.pack.hex()[:12]} in {self._backend.location()} is damaged")
            footer = read_footer(self._backend, entry.pack, len(content), self._structure_key, self._codec)
        except ObjectNotFoundError:
            raise MissingObjectError(f"pack {entry.pack.hex()[:12]} in {self._backend.location()} is missing") from None
        for stored in decode_body(footer.body):
            if not entry.is_pending(stored.offset) and not is_elsewhere(stored.name):
                self.take(stored.name, stored.location_in(entry.pack), content)

    def take(self, name: bytes, location: ObjectLocation, pack: bytes) -> None:
        """Take over one object, sealed as it is, out of the content of a pack."""
        self.add(name, pack[location.content], pack[location.links], is_compressed=location.is_compressed)

    def add(self, name: bytes, content: bytes, links: bytes, *, is_compressed: bool) -> None:
        """Add one object, sealed as it is."""
        packing = self._nodes if links else self._chunks
        packing.add(name, content, links, is_compressed=is_compressed)

    def finish(self) -> list[FinishedPack]:
        """Make the new packs durable and give them."""
        self._chunks.finish()
        self._nodes.finish()
        self._committer.finish()
        return list(self._committer.durable())

    def abort(self) -> None:
        """Throw away what is not durable."""
        self._chunks.abort()
        self._nodes.abort()
        self._committer.finish()
