import pytest

from tallac.backends.memory import MemoryBackend
from tallac.errors import StoreFullError
from tallac.interfaces import Buffer
from tallac.testing.determinism import SeededRandomness
from tallac.testing.sample_vault import noise
from tallac.vault.format.compression import Codec
from tallac.vault.format.footers import FinishedPack, decode_body
from tallac.vault.format.keys import WriterKey
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.packs.pack import StoredPacks
from tallac.vault.packs.pack_writer import COMMITS_WAITING_MAX, SHUFFLED_SIZE, PackUploader, PackWriter

KEY = WriterKey(bytes(range(32)))
STRUCTURE = Structure(KEY, Signers.of(KEY))
PACK = FinishedPack(bytes(32), 0, b"")


class Upload:
    """An upload that fails in chosen ways, and counts."""

    def __init__(self, commit: BaseException | None = None, abort: BaseException | None = None) -> None:
        self._commit = commit
        self._abort = abort
        self.committed = self.aborted = 0

    def write(self, data: Buffer) -> None:
        """Take nothing."""

    def commit(self, name: str) -> None:
        """Fail, or count."""
        self.committed += 1
        if self._commit is not None:
            raise self._commit

    def abort(self) -> None:
        """Fail, or count."""
        self.aborted += 1
        if self._abort is not None:
            raise self._abort


def test_packs_become_durable_in_order() -> None:
    """What was handed over is given back once it is durable, and only once."""
    committer, uploads = PackUploader(), [Upload() for _ in range(10)]
    for upload in uploads:
        committer.commit(upload, PACK)
    committer.finish()
    assert [upload.committed for upload in uploads] == [1] * 10
    assert len(list(committer.durable())) == 10
    assert list(committer.durable()) == []


def test_a_failure_is_never_lost() -> None:
    """After a pack has failed, also where giving it up fails, every call says so, and all later packs are given up."""
    committer = PackUploader()
    failing = Upload(StoreFullError("full"), RuntimeError("abort fails too"))
    later = [Upload(abort=RuntimeError("again")) for _ in range(COMMITS_WAITING_MAX * 3)]
    committer.commit(failing, PACK)
    handed = 0
    try:
        for upload in later:
            handed += 1
            committer.commit(upload, PACK)
    except StoreFullError:
        pass
    with pytest.raises(StoreFullError):
        committer.finish()
    with pytest.raises(StoreFullError):
        committer.finish()
    assert sum(upload.aborted for upload in later) == handed
    assert list(committer.durable()) == []
    assert committer._threads == []


def test_objects_go_to_either_open_pack() -> None:
    """Two packs are open, and an object goes to one of them at random; what is handed over is what was added."""
    backend, committer = MemoryBackend(), PackUploader()
    packing = PackWriter(backend, STRUCTURE, Codec(), SeededRandomness(1), committer)
    names = sorted(noise(number, 16) for number in range(40))
    for name in names:
        packing.add(name, name[::-1], b"content", b"links")
    packing.finish()
    committer.finish()
    packs = list(committer.durable())
    assert len(packs) == 2
    found = [(stored.name, stored.hash) for pack in packs for stored in decode_body(pack.body)]
    assert sorted(found) == [(name, name[::-1]) for name in names]
    for pack in packs:
        order = [stored.name for stored in decode_body(pack.body)]
        assert order != sorted(order), "the order of the source shows"
    assert packing.size == sum(pack.size for pack in packs)
    stored = StoredPacks(backend, STRUCTURE)
    assert {pack.name for pack in stored.footers(stored.sizes())} == {pack.name for pack in packs}


def test_few_objects_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small objects are, no more than a number of them wait to be shuffled: what comes later is written later."""
    monkeypatch.setattr("tallac.vault.packs.pack_writer.SHUFFLED_COUNT", 10)
    committer = PackUploader()
    packing = PackWriter(MemoryBackend(), STRUCTURE, Codec(), SeededRandomness(1), committer)
    names = [number.to_bytes(16, "big") for number in range(40)]
    for name in names:
        packing.add(name, name, b"x", b"")
    packing.finish()
    committer.finish()
    orders = [[int.from_bytes(stored.name, "big") for stored in decode_body(pack.body)] for pack in committer.durable()]
    assert sorted(number for order in orders for number in order) == list(range(40))
    for order in orders:
        assert [number // 10 for number in order] == sorted(number // 10 for number in order)
        assert order != sorted(order)


class Counting(MemoryBackend):
    """A store that counts the uploads that were begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Upload] = []

    def upload(self) -> Upload:  # type: ignore[override]  # Both are uploads.
        """Begin one."""
        self.begun.append(Upload())
        return self.begun[-1]


def test_a_store_is_told_of_the_first_object() -> None:
    """An upload is begun, and so a connection, before there is enough to write; it is the first pack's, or is given up."""
    for is_kept in (True, False):
        backend, committer = Counting(), PackUploader()
        packing = PackWriter(backend, STRUCTURE, Codec(), SeededRandomness(1), committer)
        assert not backend.begun
        packing.add(bytes(16), bytes(16), b"content", b"")
        assert len(backend.begun) == 1
        if is_kept:
            packing.finish()
        packing.abort()
        committer.finish()
        assert [(upload.committed, upload.aborted) for upload in backend.begun] == [(1, 0) if is_kept else (0, 1)]


@pytest.mark.parametrize("is_finished", [True, False])
def test_what_was_begun_for_nothing_is_given_up(is_finished: bool) -> None:
    """An upload that was begun before there was anything to write, and got nothing, leaves nothing behind."""
    backend, committer = Counting(), PackUploader()
    packing = PackWriter(backend, STRUCTURE, Codec(), SeededRandomness(1), committer)
    packing.begin()
    packing.begin()
    if is_finished:
        packing.finish()
    else:
        packing.abort()
    committer.finish()
    assert [(upload.committed, upload.aborted) for upload in backend.begun] == [(0, 1)]


def test_the_first_pack_leaves_with_what_was_collected_first() -> None:
    """As soon as the first objects were shuffled and written, a pack of them is handed over."""
    committer = PackUploader()
    packing = PackWriter(MemoryBackend(), STRUCTURE, Codec(), SeededRandomness(1), committer)
    for number in range(SHUFFLED_SIZE // 10_000 + 1):
        packing.add(noise(number, 16), noise(number, 32), bytes(10_000), b"")
    committer.finish()
    assert list(committer.durable())
    packing.abort()


def test_what_is_thrown_away_is_not_stored() -> None:
    """After an abort the store has nothing of the open packs."""
    backend, committer = MemoryBackend(), PackUploader()
    packing = PackWriter(backend, STRUCTURE, Codec(), SeededRandomness(1), committer)
    packing.add(bytes(16), bytes(16), b"content", b"")
    packing.abort()
    committer.finish()
    assert list(backend.list("")) == []
