"""Move sealed objects from one pack to another as they are: nothing is opened, nothing is sealed again."""

from __future__ import annotations

from collections.abc import Callable

from tallac.errors import CorruptObjectError, MissingObjectError, ObjectNotFoundError
from tallac.interfaces import Backend, Randomness
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, FooterEntries, FooterEntry, decode_body
from tallac.vault.format.structure import Structure
from tallac.vault.marking.copies import is_right
from tallac.vault.marking.objects_in_pack import read_objects
from tallac.vault.mutable.pending_deletions import PendingPack
from tallac.vault.packs.pack import read_footer
from tallac.vault.packs.pack_writer import PackUploader, PackWriter, uploads_max


class Repacking:
    """New packs, filled from old ones. Not thread-safe."""

    def __init__(self, backend: Backend, structure: Structure, randomness: Randomness) -> None:
        """Nothing is written yet."""
        self._backend = backend
        self._structure = structure
        self._codec = Codec()
        self._committer = PackUploader(uploads_max(backend))
        self._chunks = PackWriter(backend, structure, self._codec, randomness, self._committer)
        self._nodes = PackWriter(backend, structure, self._codec, randomness, self._committer)

    def move(self, entry: PendingPack, size: int, is_elsewhere: Callable[[FooterEntry], bool]) -> None:
        """Take over what stays of a pack of so many bytes, unless another pack has it by now.

        The pack's own footer says what is in it, and each object's bytes are compared with its hash before they are believed.

        Raises:
            MissingObjectError, CorruptObjectError: The pack is lost or damaged.
        """
        try:
            footer = read_footer(self._backend, entry.pack, size, self._structure, self._codec)
        except ObjectNotFoundError:
            raise MissingObjectError(f"pack {entry.pack.hex()[:12]} in {self._backend.location()} is missing") from None
        staying = FooterEntries(
            stored for stored in decode_body(footer.pack.body) if not entry.is_pending(stored.offset) and not is_elsewhere(stored)
        )
        for stored, content, links in read_objects(self._backend, entry.pack, staying):
            if not is_right(stored.hash, content, links):
                raise CorruptObjectError(
                    f"pack {entry.pack.hex()[:12]} in {self._backend.location()} is damaged: object {stored.name.hex()[:12]} in it "
                    "has other bytes than it should have"
                )
            self.add(stored.name, stored.hash, bytes(content), bytes(links))

    def add(self, name: bytes, stored_hash: bytes, content: bytes, links: bytes) -> None:
        """Add one object, sealed as it is. The caller has compared it with its hash."""
        packing = self._nodes if links else self._chunks
        packing.add(name, stored_hash, content, links)

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
