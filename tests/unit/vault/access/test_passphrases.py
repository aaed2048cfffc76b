from __future__ import annotations

import unicodedata
from collections.abc import Callable

import msgspec
import pytest

from tallac.backends.memory import MemoryBackend
from tallac.crypto.passphrases import PassphraseCost, stretch
from tallac.errors import CorruptObjectError, MalformedObjectError, StoreError, UsageError, WrongPassphraseError
from tallac.testing.determinism import SeededRandomness
from tallac.vault.access import passphrases as passphrases_module
from tallac.vault.access.duplicates import add_check, check_duplicates, duplicate_paths, take_check
from tallac.vault.access.passphrases import COST, MEMORY_KIB_MAX, PASSPHRASE_PREFIX, PASSPHRASES_MAX, Passphrases, decode_passphrase
from tallac.vault.format.header import read_header
from tallac.vault.format.keys import EnvelopeKey, WriterKey
from tallac.vault.format.structure import Signers
from tallac.vault.vault import create_vault

CHEAP = PassphraseCost(memory_kib=64, passes=1, lanes=1)
VAULT = WriterKey(SeededRandomness(1)(32)).vault
KEY = EnvelopeKey(bytes(range(32)), VAULT)
OTHER = EnvelopeKey(bytes(32), VAULT)


class TickingClock:
    """A clock that is a second later each time."""

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        self._now_ns += 10**9
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


@pytest.fixture
def backend() -> MemoryBackend:
    """Give a new vault."""
    backend = MemoryBackend()
    create_vault(backend, randomness=SeededRandomness(1))
    return backend


@pytest.fixture
def passphrases(backend: MemoryBackend) -> Passphrases:
    """Give the vault's passphrases, of which there are none yet, cheap to try."""
    return Passphrases(backend, read_header(backend).signers, randomness=SeededRandomness(2), clock=TickingClock(), cost=CHEAP)


@pytest.fixture
def signed(backend: MemoryBackend) -> Passphrases:
    """Give the vault's passphrases as somebody with its writer key has them."""
    key, signers = WriterKey(SeededRandomness(1)(32)), read_header(backend).signers
    return Passphrases(backend, signers, key=key, randomness=SeededRandomness(3), clock=TickingClock(), cost=CHEAP)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[PassphraseCost]:
    """Give what each try costs from now on, without its being paid."""
    costs: list[PassphraseCost] = []

    def pay(passphrase: str, salt: bytes, cost: PassphraseCost) -> bytes:
        costs.append(cost)
        return stretch(passphrase, salt, cost) if cost == CHEAP else bytes(32)

    monkeypatch.setattr(passphrases_module, "stretch", pay)
    return costs


def rewrite(backend: MemoryBackend, path: str, **changes: object) -> None:
    """Change fields of both copies of a passphrase object, with a right check."""
    for name in duplicate_paths(path):
        body = take_check(backend.get(name), name)
        stored = msgspec.structs.replace(decode_passphrase(body, path), **changes)
        backend.put(name, add_check(msgspec.msgpack.encode(stored.fields())))


def test_each_passphrase_opens_its_envelope(passphrases: Passphrases) -> None:
    """Several passphrases lead to one envelope, and another user's to another."""
    passphrases.add("first", "one", KEY)
    passphrases.add("second", "two", KEY)
    passphrases.add("theirs", "three", OTHER)
    assert passphrases.open("first").secret == KEY.secret
    assert passphrases.open("second").secret == KEY.secret
    assert passphrases.open("theirs").secret == OTHER.secret


def test_a_wrong_passphrase_opens_nothing(passphrases: Passphrases) -> None:
    """What was not set is refused, and so is anything where nothing was set."""
    with pytest.raises(WrongPassphraseError, match="no passphrase is set"):
        passphrases.open("first")
    passphrases.add("first", "one", KEY)
    for wrong in ("First", "first ", "firs", "first\0"):
        with pytest.raises(WrongPassphraseError, match="wrong passphrase"):
            passphrases.open(wrong)


def test_accents_may_be_typed_either_way(passphrases: Passphrases) -> None:
    """Composed and decomposed letters are one passphrase: keyboards and systems differ in them."""
    passphrases.add(unicodedata.normalize("NFD", "Übergrößen"), "one", KEY)
    assert passphrases.open(unicodedata.normalize("NFC", "Übergrößen")).secret == KEY.secret


def test_labels_are_their_users_own(passphrases: Passphrases) -> None:
    """A listing shows what leads to one's own envelope, the oldest first, and no other user's."""
    passphrases.add("first", "zoë", KEY)
    passphrases.add("theirs", "hidden", OTHER)
    passphrases.add("second", "a", KEY)
    assert [(known.label, known.made_ns) for known in passphrases.of(KEY)] == [("zoë", 10**9), ("a", 3 * 10**9)]


def test_what_is_removed_opens_nothing(passphrases: Passphrases, backend: MemoryBackend) -> None:
    """A removed passphrase is gone with both copies, and removing it again does no harm."""
    path = passphrases.add("first", "one", KEY)
    passphrases.add("second", "two", KEY)
    passphrases.remove(path)
    passphrases.remove(path)
    with pytest.raises(WrongPassphraseError):
        passphrases.open("first")
    assert passphrases.open("second").secret == KEY.secret
    assert len(list(backend.list(PASSPHRASE_PREFIX))) == 2


@pytest.mark.parametrize("lost", [0, 1])
def test_one_copy_suffices(passphrases: Passphrases, backend: MemoryBackend, lost: int) -> None:
    """Either copy may be missing or damaged."""
    name = duplicate_paths(passphrases.add("first", "one", KEY))[lost]
    backend.put(name, backend.get(name)[:-1])
    assert passphrases.open("first").secret == KEY.secret
    backend.delete(name)
    assert passphrases.open("first").secret == KEY.secret
    assert [known.label for known in passphrases.of(KEY)] == ["one"]


def test_damage_is_not_called_a_wrong_passphrase(passphrases: Passphrases, backend: MemoryBackend) -> None:
    """Where both copies are damaged, that is said; another passphrase still opens."""
    path = passphrases.add("first", "one", KEY)
    passphrases.add("second", "two", KEY)
    for name in duplicate_paths(path):
        backend.put(name, b"\xff" + backend.get(name)[1:])
    with pytest.raises(CorruptObjectError, match="fits none that can be tried"):
        passphrases.open("first")
    assert passphrases.open("second").secret == KEY.secret


def test_an_object_counts_only_in_its_place(passphrases: Passphrases, backend: MemoryBackend) -> None:
    """An object under another's name, or from another vault, does not open."""
    path = passphrases.add("first", "one", KEY)
    stored = backend.get(path)
    moved = PASSPHRASE_PREFIX + "0" * 32
    passphrases.remove(path)
    backend.put(moved, stored)
    with pytest.raises(CorruptObjectError):
        passphrases.open("first")
    assert passphrases.of(KEY) == []
    elsewhere = Passphrases(
        backend, Signers.of(WriterKey(bytes(32))), randomness=SeededRandomness(2), clock=TickingClock(), cost=CHEAP
    )
    backend.delete(moved)
    backend.put(path, stored)
    with pytest.raises(CorruptObjectError):
        elsewhere.open("first")


@pytest.mark.parametrize(
    "changes",
    [
        {"memory_kib": MEMORY_KIB_MAX + 1},
        {"memory_kib": 7},
        {"passes": 0},
        {"passes": 1 << 20},
        {"memory_kib": 1 << 20, "passes": 5},
        {"lanes": 0},
        {"lanes": 17},
        {"salt": b"short"},
        {"algorithm": "scrypt"},
    ],
    ids=",".join,
)
def test_a_store_can_not_make_a_passphrase_expensive(
    passphrases: Passphrases, backend: MemoryBackend, changes: dict[str, object]
) -> None:
    """Parameters beyond the bounds are refused before anything is computed, even with a right check."""
    path = passphrases.add("first", "one", KEY)
    rewrite(backend, path, **changes)
    with pytest.raises(MalformedObjectError, match="bounds"):
        decode_passphrase(take_check(backend.get(path), path), path)
    with pytest.raises(CorruptObjectError):
        passphrases.open("first")


def test_passphrases_have_a_maximum(passphrases: Passphrases, signed: Passphrases) -> None:
    """There is a limit for whoever sets one; what others may have added counts only for whom nothing tells it from their own."""
    for number in range(PASSPHRASES_MAX):
        passphrases.add("first", str(number), KEY)
    with pytest.raises(UsageError, match="the maximum"):
        passphrases.add("first", "more", KEY)
    assert passphrases.open("first") == KEY
    for number in range(PASSPHRASES_MAX):
        signed.add("second", str(number), OTHER)
    with pytest.raises(UsageError, match="the maximum"):
        signed.add("second", "more", OTHER)
    assert signed.open("second") == OTHER


def _named(backend: MemoryBackend, path: str, number: int) -> str:
    """Put a copy of a passphrase's object under the name that comes first, or nearly."""
    name = f"{PASSPHRASE_PREFIX}{number:032x}"
    for mine, theirs in zip(duplicate_paths(name), duplicate_paths(path), strict=True):
        backend.put(mine, backend.get(theirs))
    return name


FORGED: dict[str, Callable[[str], dict[str, object]]] = {
    "without a stamp": lambda _: {"stamp": b""},
    "copies, with the stamp of another name": lambda _: {},
    "with a stamp by another key": lambda path: {"stamp": WriterKey(bytes(32)).sign(path.encode())},
    "with an empty signature": lambda _: {"stamp": b"\1" + bytes(64)},
    "of a signer that there is not": lambda _: {"stamp": b"\3" + bytes(64)},
    "as expensive as may be": lambda _: {"stamp": b"", "memory_kib": 1 << 20, "passes": 4},
}


@pytest.mark.parametrize("forged", FORGED)
def test_what_an_adder_makes_is_tried_last(
    backend: MemoryBackend, signed: Passphrases, tried: list[PassphraseCost], forged: str
) -> None:
    """Any number of objects that follow the format, which nobody needs a key to make: a writer's own passphrase opens first."""
    path = signed.add("first", "one", KEY)
    for number in range(3 * PASSPHRASES_MAX):
        rewrite(backend, _named(backend, path, number), **FORGED[forged](path))
    del tried[:]
    assert signed.open("first") == KEY
    assert tried == [CHEAP]
    del tried[:]
    with pytest.raises(StoreError, match="more are there, which is more than anybody sets"):
        signed.open("wrong")
    assert len(tried) <= 1 + PASSPHRASES_MAX
    assert sum(cost.memory_kib * cost.passes for cost in tried[1:]) <= PASSPHRASES_MAX * COST.memory_kib * COST.passes
    signed.add("second", "two", KEY)
    assert signed.open("second") == KEY


NOISE = {
    "nothing": b"",
    "random": SeededRandomness(7)(200),
    "long": bytes(1 << 20),
    "with a right check": add_check(b"noise"),
    "an array with a right check": add_check(msgspec.msgpack.encode(["argon2id", 64, 1, 1])),
    "beyond the bounds": add_check(
        msgspec.msgpack.encode(["argon2id", 1 << 21, 1, 1, bytes(16), bytes(32), bytes(72), bytes(248)])
    ),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_noise_locks_nobody_out(passphrases: Passphrases, backend: MemoryBackend, noise: bytes) -> None:
    """Any number of objects among the passphrases that are none, which nobody needs a key to put there, are passed over."""
    for number in range(PASSPHRASES_MAX + 8):
        backend.put(f"{PASSPHRASE_PREFIX}{number:032x}", noise)
    with pytest.raises(CorruptObjectError, match=r"no passphrase of this vault can be tried: .*, and 39 more; use --recovery-kit"):
        passphrases.require_any()
    path = passphrases.add("first", "one", KEY)
    passphrases.require_any()
    assert passphrases.open("first") == KEY
    assert [known.label for known in passphrases.of(KEY)] == ["one"]
    with pytest.raises(CorruptObjectError, match=r"fits none that can be tried: .*, and 39 more$"):
        passphrases.open("wrong")
    findings = list(check_duplicates(backend, [item.name for item in backend.list(PASSPHRASE_PREFIX)]))
    assert len(findings) == PASSPHRASES_MAX + 8
    assert not any(finding.damaged or finding.stored == path for finding in findings)


def test_the_commitment_is_compared(passphrases: Passphrases, backend: MemoryBackend) -> None:
    """An object with another commitment does not open, although its seal would."""
    path = passphrases.add("first", "one", KEY)
    rewrite(backend, path, commitment=bytes(32))
    with pytest.raises(WrongPassphraseError):
        passphrases.open("first")


@pytest.mark.parametrize("label", ["", "x" * 201, "a\nb", "a\x1b[2J"])
def test_labels_are_short_and_plain(passphrases: Passphrases, label: str) -> None:
    """A label that could act on a terminal, or does not fit, is refused."""
    with pytest.raises(UsageError):
        passphrases.add("first", label, KEY)


def test_what_a_guess_costs() -> None:
    """New passphrases cost at least what RFC 9106 recommends where memory is scarce: 64 MiB, three passes."""
    assert COST.memory_kib >= 64 << 10
    assert COST.memory_kib * COST.passes >= 3 * (64 << 10)


def test_nothing_secret_is_stored(passphrases: Passphrases, backend: MemoryBackend) -> None:
    """The stored objects hold neither passphrase nor label nor key."""
    passphrases.add("correct horse battery", "the label", KEY)
    stored = b"".join(backend.snapshot().values())
    for secret in (b"correct horse battery", b"the label", KEY.secret):
        assert secret not in stored
