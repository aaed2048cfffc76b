"""Keys, kits, passphrases, headers, registers and sessions that somebody made to do harm: nothing known is lost, nothing stops."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec
import pytest
from tests.command import PATIENCE_SECONDS, Tallac
from tests.interop.gateway import of_cap, serving

from tallac.backends.local import LocalBackend
from tallac.caps import MutableDirectoryRead, MutableDirectoryWrite, parse
from tallac.clock import SystemClock
from tallac.crypto.passphrases import PassphraseCost
from tallac.crypto.sealing import SALT_SIZE, SEAL_OVERHEAD, seal
from tallac.dag import Entry
from tallac.vault.access.envelopes import Envelope, EnvelopeFile
from tallac.vault.access.passphrases import Passphrases
from tallac.vault.format.compression import Codec
from tallac.vault.format.header import HEADER_NAMES, Header
from tallac.vault.format.keys import EnvelopeKey, KeeperKey, LocatorKey, WriterKey, parse_envelope_key, parse_vault_key
from tallac.vault.format.padding import pad_plain
from tallac.vault.format.structure import Signers, Structure
from tallac.vault.mutable.registers import NO_PREDECESSOR, Register, State
from tallac.vault.mutable.rollback import NoMemory
from tallac.vault.mutable.sessions import SessionRecord, SessionState
from tallac.vault.mutable.slots import Slots
from tallac.vault.vault import create_vault, open_vault

# Each runs the command several times.
pytestmark = pytest.mark.slow

VaultKey = WriterKey | KeeperKey | LocatorKey

WORDS = "words that somebody gave"
OWN_WORDS = "words of the victim alone"
EVIL = WriterKey(bytes(range(32)))
CHEAP = PassphraseCost(memory_kib=64, passes=1, lanes=1)


@dataclass(frozen=True)
class Victim:
    """A machine with a vault and a snapshot in it.

    Attributes:
        source: What was backed up.
    """

    tallac: Tallac
    source: Path

    @property
    def file(self) -> Path:
        """Its configuration."""
        return self.tallac.home / "config" / "tallac.json"

    @property
    def configuration(self) -> dict[str, dict[str, dict[str, str]]]:
        """What its configuration says."""
        decoded: dict[str, dict[str, dict[str, str]]] = json.loads(self.file.read_text())
        return decoded

    @property
    def identity(self) -> str:
        """Its vault's id."""
        return self.key.vault.hex()

    @property
    def key(self) -> WriterKey:
        """Its vault's key."""
        (known,) = self.configuration["grids"].values()
        key = parse_vault_key(known["vault_key"])
        assert isinstance(key, WriterKey)
        return key

    def state(self) -> dict[str, bytes]:
        """Return all that this machine has under a vault's id."""
        folder = self.tallac.home / "state"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    @contextmanager
    def unmoved(self) -> Iterator[None]:
        """Require that the block changes neither the configuration nor what is remembered of any vault."""
        before = self.file.read_bytes(), self.state()
        yield
        assert (self.file.read_bytes(), self.state()) == before

    def require_unharmed(self, folder: Path) -> None:
        """Require that all that was backed up comes back, and that another backup works."""
        self.tallac("backup", self.source)
        self.tallac("restore", "tallac:Latest", folder)
        assert contents(folder) == contents(self.source)


def contents(folder: Path) -> dict[str, bytes]:
    """Give all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def victim(tallac: Tallac, source: Path) -> Victim:
    """Give a machine with one snapshot."""
    tallac("backup", source)
    return Victim(tallac, source)


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """Give a folder with a vault of somebody else's."""
    folder = tmp_path / "evil"
    folder.mkdir()
    create_vault(LocalBackend(folder), key=EVIL)
    return folder


def put_header(victim: Victim, folder: Path) -> None:
    """Put copies of a vault's header in place of another's."""
    for name in HEADER_NAMES:
        shutil.copy(victim.tallac.vault / name, folder / name)


def give_passphrase(folder: Path, identity: str, key: VaultKey, aliases: dict[str, str]) -> EnvelopeKey:
    """Set a passphrase in a folder, as the format says, that leads to an envelope with this in it."""
    envelope_key = EnvelopeKey(os.urandom(32), bytes.fromhex(identity))
    backend = LocalBackend(folder)
    EnvelopeFile(backend, identity, envelope_key, os.urandom).add(Envelope(key, frozenset(aliases.items())))
    signers = Signers(bytes.fromhex(identity), bytes(32), bytes(32))
    passphrases = Passphrases(backend, signers, randomness=os.urandom, clock=SystemClock(), cost=CHEAP)
    passphrases.add(WORDS, "given", envelope_key)
    return envelope_key


def connect(victim: Victim, folder: Path) -> tuple[int, str]:
    """Connect to a folder with the passphrase that was given; return the exit status and what was said."""
    done = victim.tallac("connect", folder, "--passphrase-file", "-", stdin=WORDS.encode(), status=None)
    return done.status, done.err


def kit_of(victim: Victim, folder: Path, key: VaultKey, *, vault: str, alias: str = "") -> Path:
    """Write a recovery kit as `tallac recovery-kit` does, whatever it says."""
    lines = ["tallac-kit 2", f"location {folder.as_uri()}", f"vault {vault}", f"key {key.danger_whole_text()}", alias]
    path = victim.tallac.home.parent / "kit.txt"
    path.write_text("\n".join(lines))
    return path


# 2a: a vault key is never replaced


def of_the_attackers_own(victim: Victim) -> tuple[VaultKey, str]:
    """Give the attacker's key, under the attacker's id."""
    return EVIL, EVIL.vault.hex()


def under_the_victims_id(victim: Victim) -> tuple[VaultKey, str]:
    """Give the attacker's key, under the victim's id."""
    return EVIL, victim.identity


def a_keeper_key_made_up(victim: Victim) -> tuple[VaultKey, str]:
    """Give a keeper key that says that it is one of the victim's vault."""
    return KeeperKey(os.urandom(32), victim.key.vault), victim.identity


def a_locator_key_made_up(victim: Victim) -> tuple[VaultKey, str]:
    """Give a locator key that says that it is one of the victim's vault."""
    return LocatorKey(os.urandom(32), victim.key.vault), victim.identity


FORGED = [of_the_attackers_own, under_the_victims_id, a_keeper_key_made_up, a_locator_key_made_up]


@pytest.mark.parametrize("forge", FORGED)
def test_no_kit_replaces_a_key(victim: Victim, evil: Path, tmp_path: Path, forge: Callable[[Victim], tuple[VaultKey, str]]) -> None:
    """A kit with another key, at a store that shows the victim's own header, is refused, and nothing is remembered of it."""
    key, identity = forge(victim)
    put_header(victim, evil)
    kit = kit_of(victim, evil, key, vault=identity)
    with victim.unmoved():
        for arguments in ((), (str(evil),)):
            done = victim.tallac("connect", *arguments, "--recovery-kit", str(kit), status=None)
            assert done.status in (1, 2), done
            assert len(done.error_lines) == 1, done
    victim.require_unharmed(tmp_path / "restored")


@pytest.mark.parametrize("forge", FORGED)
def test_no_passphrase_replaces_a_key(
    victim: Victim, evil: Path, tmp_path: Path, forge: Callable[[Victim], tuple[VaultKey, str]]
) -> None:
    """A passphrase that leads to another key, at a store that shows the victim's own header, is refused likewise."""
    key, identity = forge(victim)
    give_passphrase(evil, identity, key, {})
    put_header(victim, evil)
    with victim.unmoved():
        status, said = connect(victim, evil)
        assert status == 1, said
    victim.require_unharmed(tmp_path / "restored")


def test_a_header_of_two_vaults_is_damaged(victim: Victim, evil: Path, tmp_path: Path) -> None:
    """A header with the victim's id and the attacker's signers opens nothing, although its check is right."""
    signers = Signers(victim.key.vault, EVIL.signer.public, EVIL.keeper_key.signer.public)
    forged = Header(signers, EVIL.locator_key.check, bytes(64))
    signed = msgspec.structs.replace(forged, signature=EVIL.signer.sign(forged.encode().partition(b"signature")[0]))
    for name in HEADER_NAMES:
        (evil / name).write_bytes(signed.encode())
    kit = kit_of(victim, evil, EVIL, vault=EVIL.vault.hex())
    with victim.unmoved():
        assert "is damaged" in victim.tallac.fails("connect", "--recovery-kit", str(kit))
        victim.tallac.fails("connect", str(evil), "--passphrase-file", "-", stdin=WORDS.encode())
        victim.tallac.fails("ls", "tallac:", "--vault", str(evil))
    victim.require_unharmed(tmp_path / "restored")


def test_a_kit_does_not_move_a_known_vault(victim: Victim, evil: Path, tmp_path: Path) -> None:
    """A kit with a right but weaker key, whose location is elsewhere, changes neither key nor location; it says so."""
    put_header(victim, evil)
    kit = kit_of(victim, evil, victim.key.locator_key, vault=victim.identity)
    before = victim.file.read_bytes()
    done = victim.tallac("connect", "--recovery-kit", str(kit))
    assert f"the vault stays at {victim.tallac.vault}" in done.err
    assert victim.file.read_bytes() == before
    # Nor where its user believes that it has moved, while there is but a header of it.
    for name in ("registers/index", "registers/roots"):
        (evil / name).unlink()
    said = victim.tallac.fails("connect", str(evil), "--recovery-kit", str(kit))
    assert "only the header of this vault" in said
    assert victim.file.read_bytes() == before
    victim.require_unharmed(tmp_path / "restored")


def test_an_older_copy_is_not_taken_for_the_vault(victim: Victim, tmp_path: Path) -> None:
    """A whole copy of the vault as it was before is refused as its new place by a machine that has seen more."""
    older = tmp_path / "older"
    shutil.copytree(victim.tallac.vault, older)
    victim.tallac("create-alias", "more")
    kit = kit_of(victim, older, victim.key.locator_key, vault=victim.identity)
    before = victim.file.read_bytes()
    assert "was rolled back" in victim.tallac.fails("connect", str(older), "--recovery-kit", str(kit))
    assert victim.file.read_bytes() == before


def test_what_is_changed_is_kept_beside(victim: Victim, tmp_path: Path) -> None:
    """Where a vault moves, its user says so, and the configuration as it was is kept beside the new one, for the user alone."""
    moved = tmp_path / "moved"
    shutil.move(victim.tallac.vault, moved)
    kit = kit_of(victim, moved, victim.key, vault=victim.identity)
    before = victim.file.read_bytes()
    done = victim.tallac("connect", str(moved), "--recovery-kit", str(kit))
    kept = victim.file.with_name("tallac.json.old")
    assert kept.read_bytes() == before
    assert kept.stat().st_mode & 0o777 == 0o600
    assert f"is used at {moved} from now on" in done.err
    assert str(kept) in done.err
    victim.require_unharmed(tmp_path / "restored")
    # One more change keeps one more.
    shutil.move(moved, victim.tallac.vault)
    victim.tallac("connect", str(victim.tallac.vault), "--recovery-kit", str(kit))
    assert kept.read_bytes() == before
    assert victim.file.with_name("tallac.json.old-2").exists()


# 2b: write caps go to nobody


def stolen(victim: Victim, envelope_key: EnvelopeKey, *folders: Path) -> set[str]:
    """Return what the attacker finds in the envelope that the given passphrase leads to."""
    found: set[str] = set()
    for folder in folders:
        envelope = EnvelopeFile(LocalBackend(folder), victim.identity, envelope_key, os.urandom).read()
        found |= {cap for _, cap in envelope.aliases} | {envelope.key.danger_whole_text()}
    return found


@pytest.mark.parametrize("has_own", [True, False], ids=["own passphrase", "no passphrase"])
@pytest.mark.parametrize("at", ["the vault", "a copy of it"])
def test_nothing_of_ones_own_goes_behind_a_passphrase_that_was_given(
    victim: Victim, tmp_path: Path, at: str, *, has_own: bool
) -> None:
    """Whoever was given one file has the locator key, and can make a passphrase: what the victim has does not go behind it."""
    if has_own:
        victim.tallac("add-passphrase", "tallac:", "--passphrase-file", "-", stdin=OWN_WORDS.encode())
    folder = victim.tallac.vault
    if at == "a copy of it":
        folder = tmp_path / "copy"
        shutil.copytree(victim.tallac.vault, folder)
    victim.tallac("create-alias", "photos")
    if at == "a copy of it":
        shutil.rmtree(folder)
        shutil.copytree(victim.tallac.vault, folder)
    own = {alias["cap"] for alias in victim.configuration["aliases"].values()} | {victim.key.danger_whole_text()}
    theirs = "URI:DIR2-RO:" + MutableDirectoryRead(bytes(16), bytes(32)).danger_whole_text().partition("RO:")[2]
    given = give_passphrase(folder, victim.identity, victim.key.locator_key, {"evil": theirs})
    before = victim.configuration["grids"][victim.identity].get("envelope_key", "")
    status, said = connect(victim, folder)
    assert status == 0, said
    assert "alias evil: is ready" in said
    assert victim.key.danger_whole_text() in own
    assert victim.configuration["grids"][victim.identity].get("envelope_key", "") == before
    if not has_own:
        assert "that passphrase may be somebody else's too" in said
    victim.tallac("backup", victim.source, "photos:x")
    victim.tallac("add-passphrase", "tallac:", "--label", "more", "--passphrase-file", "-", stdin=b"and one more set of words")
    victim.tallac("create-alias", "later")
    for place in {victim.tallac.vault, folder}:
        with_given = EnvelopeFile(LocalBackend(place), victim.identity, given, os.urandom)
        if (place / with_given.path).exists():
            assert stolen(victim, given, place).isdisjoint(own)
    assert not any("URI:DIR2:" in cap for cap in stolen(victim, given, folder))
    victim.require_unharmed(tmp_path / "restored")


def test_a_users_second_machine_has_one_envelope(victim: Victim, tmp_path: Path) -> None:
    """A machine that has the vault by a kit, and nothing that the passphrase does not lead to already, uses that envelope."""
    victim.tallac("add-passphrase", "tallac:", "--passphrase-file", "-", stdin=WORDS.encode())
    victim.tallac("recovery-kit", "tallac:", "--output", str(tmp_path / "kit.txt"))
    second = Victim(Tallac(tmp_path / "second"), victim.source)
    second.tallac("connect", "--recovery-kit", str(tmp_path / "kit.txt"))
    status, said = connect(second, victim.tallac.vault)
    assert status == 0, said
    assert (
        second.configuration["grids"][victim.identity]["envelope_key"]
        == (victim.configuration["grids"][victim.identity]["envelope_key"])
    )
    second.tallac("create-alias", "more")
    connect(victim, victim.tallac.vault)
    assert "more" in victim.configuration["aliases"]


def test_an_envelope_key_of_another_vault_opens_nothing(victim: Victim, evil: Path) -> None:
    """Passphrases and envelopes copied from one vault to another do not open there."""
    given = give_passphrase(evil, EVIL.vault.hex(), EVIL, {})
    assert parse_envelope_key(given.danger_whole_text()).vault == EVIL.vault
    for name in ("passphrases", "envelopes"):
        shutil.copytree(evil / name, victim.tallac.vault / name, dirs_exist_ok=True)
    with victim.unmoved():
        status, said = connect(victim, victim.tallac.vault)
        assert status == 1, said


# 2c: what is remembered belongs to the vault


@pytest.mark.parametrize("command", [["check"], ["ls", "tallac:"], ["prune"], ["stats"], ["repair"]], ids=" ".join)
def test_no_command_spoils_what_was_seen(victim: Victim, evil: Path, tmp_path: Path, command: list[str]) -> None:
    """Another vault behind the victim's header, with its own key, is refused by each command, and nothing is remembered of it."""
    put_header(victim, evil)
    key = tmp_path / "theirs.txt"
    key.write_text(EVIL.danger_whole_text())
    with victim.unmoved():
        victim.tallac.fails(*command, "--vault", str(evil), "--vault-key", str(key))
    victim.require_unharmed(tmp_path / "restored")


def test_no_alias_comes_with_a_key_that_is_none(victim: Victim, evil: Path, tmp_path: Path) -> None:
    """`add-alias` with a key that does not prove itself remembers neither the alias nor the vault."""
    put_header(victim, evil)
    cap = MutableDirectoryRead(bytes(16), bytes(32)).danger_whole_text()
    for key in (EVIL, KeeperKey(bytes(32), victim.key.vault), LocatorKey(bytes(32), victim.key.vault)):
        (tmp_path / "theirs.txt").write_text(key.danger_whole_text())
        with victim.unmoved():
            arguments = ("evil", "@-", "--vault", str(evil), "--vault-key", str(tmp_path / "theirs.txt"))
            victim.tallac.fails("add-alias", *arguments, stdin=cap.encode())


def test_a_keeper_by_script_notices_a_rollback(victim: Victim, tmp_path: Path) -> None:
    """A keeper that has the vault and its key from the command line alone remembers what it saw, under the vault's id."""
    (tmp_path / "keeper.txt").write_text(victim.key.keeper_key.danger_whole_text())
    keeper = Tallac(tmp_path / "keeper")
    options = ("--vault", str(victim.tallac.vault), "--vault-key", str(tmp_path / "keeper.txt"))
    older = tmp_path / "older"
    shutil.copytree(victim.tallac.vault, older)
    victim.tallac("backup", victim.source, "tallac:other")
    keeper("check", *options)
    assert (keeper.home / "state" / victim.identity / "seen.json").exists()
    shutil.rmtree(victim.tallac.vault)
    shutil.copytree(older, victim.tallac.vault)
    assert "was rolled back" in keeper("check", *options, status=None).out.decode() + keeper("prune", *options, status=1).err


# 5: no small statement stops anything


def registers_of(victim: Victim, structure: Structure) -> dict[str, Register]:
    """Return the registers of a vault as somebody can write them."""
    backend = LocalBackend(victim.tallac.vault)
    keys = {"index": structure.secret, "roots": victim.key.keeper_key.roots, "quarantine": victim.key.keeper_key.roots}
    return {name: Register(backend, name, key, structure, NoMemory(), os.urandom) for name, key in keys.items()}


def leap(register: Register, number: int) -> None:
    """Swap a register to a number."""
    state = register.read()
    if state is None:
        register.swap(lambda _: b"")
        state = register.read()
    assert state is not None
    register._put(State(number - 1, NO_PREDECESSOR, b"", state.hash, state.version), state.text)


@pytest.mark.parametrize("name", ["index", "roots", "quarantine"])
@pytest.mark.parametrize("number", [1 << 61, (1 << 62) - 1])
def test_a_register_that_leaps_is_mended(victim: Victim, tmp_path: Path, name: str, number: int) -> None:
    """A co-writer pushes a number to its end: nobody who knows the vault follows, reading goes on, and a repair mends it."""
    victim.tallac("prune")
    victim.tallac("check", "tallac:")
    leap(registers_of(victim, Structure(victim.key, Signers.of(victim.key)))[name], number)
    assert name == "quarantine" or "grown by more than anybody makes changes" in victim.tallac("check", "tallac:", status=1).err
    victim.tallac("restore", "tallac:Latest", tmp_path / "before")
    assert contents(tmp_path / "before") == contents(victim.source)
    victim.tallac("repair", "tallac:")
    victim.tallac("check", "tallac:")
    victim.tallac("prune")
    victim.require_unharmed(tmp_path / "restored")


@pytest.mark.parametrize("text", [b"", os.urandom(32), b"x"], ids=["empty", "names nothing", "of a wrong length"])
def test_a_locator_key_makes_no_register(victim: Victim, tmp_path: Path, text: bytes) -> None:
    """Who has the locator key, and may swap the register of the index, stops nothing: it has no stamp, and the packs are asked."""
    path = victim.tallac.vault / "registers" / "index"
    locator = victim.key.locator_key
    for stamp in (bytes(65), b"\1" + os.urandom(64), EVIL.sign(b"index")):
        plain = (1 << 20).to_bytes(8, "big") + bytes(32) + stamp + text
        sealed = seal(locator.structure_key, os.urandom(SALT_SIZE), pad_plain(plain, Codec(), SEAL_OVERHEAD), b"register\2index")
        path.write_bytes(sealed)
        newcomer = Tallac(tmp_path / f"newcomer {stamp[0]} {stamp[-1]}")
        kit = kit_of(victim, victim.tallac.vault, victim.key, vault=victim.identity)
        newcomer("connect", "--recovery-kit", str(kit))
        victim.tallac("ls", "tallac:")
    victim.require_unharmed(tmp_path / "restored")
    victim.tallac("check", "tallac:")


# 9: each rollback that can be noticed


def test_the_gateways_lanes_know_what_one_of_them_wrote(victim: Victim) -> None:
    """A store that puts a former state back is noticed by the gateway that wrote the newer one, and by all others at once."""
    with serving(victim.tallac) as gateway:
        directory = gateway.directory()
        gateway.cap("PUT", f"{directory}/a.txt", b"a" * 100)
        slots = {path: path.read_bytes() for path in (victim.tallac.vault / "slots").iterdir()}
        gateway.cap("PUT", f"{directory}/b.txt", b"b" * 100)
        newer = {path: path.read_bytes() for path in slots}
        for path, state in slots.items():
            path.write_bytes(state)
        for _ in range(8):
            answer = gateway.ask("GET", f"{directory}/a.txt")
            assert answer.status_code >= 400, answer.text
        # Another process, and one that begins after the gateway was killed, know it too.
        cap = directory.partition("/")[2]
        assert "was rolled back" in victim.tallac.fails("ls", "@-", stdin=_unquoted(cap).encode())
        for path, state in newer.items():
            path.write_bytes(state)
        assert gateway.ask("GET", f"{directory}/b.txt").status_code == 200


def test_a_gateway_that_was_killed_has_written_down_what_it_saw(victim: Victim) -> None:
    """What a gateway wrote is remembered by this machine although nothing of it was closed."""
    process = victim.tallac.start("serve", "--port", "0", own_group=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        with httpx2.Client(timeout=PATIENCE_SECONDS) as client:
            cap = client.post(f"{url}uri?t=mkdir").text
            slots = {path: path.read_bytes() for path in (victim.tallac.vault / "slots").iterdir()}
            assert client.put(f"{url}{of_cap(cap)}/b.txt", content=b"b" * 100).status_code == 201
    finally:
        process.kill()
        process.communicate()
    for path, state in slots.items():
        path.write_bytes(state)
    assert "was rolled back" in victim.tallac.fails("ls", "@-", stdin=cap.encode())


def _unquoted(text: str) -> str:
    return text.replace("%3A", ":")


# 16: noise


NOISE = {"random": os.urandom(200), "empty": b"", "large": bytes(1 << 20)}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_noise_stops_nothing(victim: Victim, tmp_path: Path, noise: bytes) -> None:
    """What somebody without any key adds among sessions, slots, passphrases and registers is named, and stops nothing."""
    victim.tallac("add-passphrase", "tallac:", "--passphrase-file", "-", stdin=OWN_WORDS.encode())
    victim.tallac("forget", "tallac:", "--keep-last", "1")
    for folder in ("sessions", "slots", "passphrases", "envelopes"):
        (victim.tallac.vault / folder).mkdir(exist_ok=True)
        for number in range(40):
            (victim.tallac.vault / folder / f"{number:032x}").write_bytes(noise)
    (victim.tallac.vault / "registers" / "more").write_bytes(noise)
    victim.tallac("prune")
    checked = victim.tallac("check", "tallac:", status=None)
    for folder in ("sessions", "slots", "passphrases"):
        assert f"{folder}/{0:032x}" in checked.err
    newcomer = Tallac(tmp_path / "newcomer")
    newcomer("connect", str(victim.tallac.vault), "--passphrase-file", "-", stdin=OWN_WORDS.encode())
    victim.tallac("change-passphrase", "tallac:", "--passphrase-file", "-", stdin=WORDS.encode())
    victim.tallac("repair", "tallac:")
    victim.tallac("prune")
    victim.require_unharmed(tmp_path / "restored")


@pytest.mark.parametrize("who", ["locator", "stranger", "copied"])
def test_a_session_that_nobody_may_make_stops_nothing(victim: Victim, tmp_path: Path, who: str) -> None:
    """What is sealed as a session, and has no right stamp, or another session's, is passed over by a prune."""
    path, copied = "sessions/" + "0" * 32, "sessions/" + "1" * 32
    record = SessionRecord(SessionState.OPEN, SystemClock().now_ns(), "evil")
    stamps = {
        "locator": bytes(65),
        "stranger": Structure(EVIL, Signers.of(EVIL)).stamp(b"session", b""),
        "copied": Structure(victim.key, Signers.of(victim.key)).stamp(
            b"session", msgspec.msgpack.encode([copied, *msgspec.structs.astuple(record)])
        ),
    }
    plain = msgspec.msgpack.encode([*msgspec.structs.astuple(record), stamps[who]])
    sealed = seal(
        victim.key.keeper_key.roots,
        os.urandom(SALT_SIZE),
        pad_plain(plain, Codec(), SEAL_OVERHEAD),
        b"session\2" + path.encode(),
    )
    (victim.tallac.vault / "sessions").mkdir(exist_ok=True)
    (victim.tallac.vault / path).write_bytes(sealed)
    victim.tallac("prune")
    assert f"{path} is not a session" in victim.tallac("check", "tallac:").err
    victim.require_unharmed(tmp_path / "restored")


def test_a_slot_that_says_it_is_another_is_no_root(victim: Victim, tmp_path: Path) -> None:
    """With the locator key the sealed root of one slot can be put into another; a register of roots made anew is not misled."""
    backend = LocalBackend(victim.tallac.vault)
    slots = Slots(backend, victim.key.locator_key, NoMemory(), os.urandom)
    genuine = next((victim.tallac.vault / "slots").iterdir())
    record = slots._open(f"slots/{genuine.name}", genuine.read_bytes())
    path = "slots/" + "0" * 32
    inside = pad_plain(msgspec.msgpack.encode(record), Codec(), SEAL_OVERHEAD)
    planted = seal(victim.key.locator_key.structure_key, os.urandom(SALT_SIZE), inside, b"slot\2" + path.encode())
    before = slots.all_roots(victim.key.keeper_key)
    (victim.tallac.vault / path).write_bytes(planted)
    assert slots.all_roots(victim.key.keeper_key) == before
    victim.tallac("prune")
    victim.require_unharmed(tmp_path / "restored")


@pytest.mark.parametrize("noise", [None, b"", os.urandom(300)], ids=["deleted", "empty", "random"])
def test_no_prune_takes_a_directory_that_it_has_seen(victim: Victim, tmp_path: Path, noise: bytes | None) -> None:
    """A co-writer takes directories out of the roots and spoils their slots: a keeper that has seen them deletes nothing."""
    (tmp_path / "keeper.txt").write_text(victim.key.keeper_key.danger_whole_text())
    keeper = Tallac(tmp_path / "keeper")
    options = ("--vault", str(victim.tallac.vault), "--vault-key", str(tmp_path / "keeper.txt"))
    keeper("prune", *options)
    registers_of(victim, Structure(victim.key, Signers.of(victim.key)))["roots"].swap(lambda _: b"")
    slots = {path: path.read_bytes() for path in (victim.tallac.vault / "slots").iterdir()}
    packs = contents(victim.tallac.vault / "packs")
    assert slots
    assert packs
    for path in slots:
        if noise is None:
            path.unlink()
        else:
            path.write_bytes(noise)
    for command in (["prune", "--dry-run"], ["prune"]):
        assert "a directory that this machine has seen, and it is gone" in keeper.fails(*command, *options)
    assert contents(victim.tallac.vault / "packs") == packs
    for path, state in slots.items():
        path.write_bytes(state)
    keeper("prune", *options)
    victim.require_unharmed(tmp_path / "restored")


# 17: a write cap that leads elsewhere


@pytest.mark.parametrize("kind", ["another directory", "no cap of a directory's"])
def test_a_write_cap_that_leads_elsewhere_is_damage_of_that_entry(victim: Victim, tmp_path: Path, kind: str) -> None:
    """Who can write a directory can't have others read from one place and write to another; the other entries go on."""
    with open_vault(LocalBackend(victim.tallac.vault), victim.key, state=tmp_path / "attacker") as vault:
        root = parse(victim.configuration["aliases"]["tallac"]["cap"])
        assert isinstance(root, MutableDirectoryWrite)
        shown, hidden, good = (vault.create_directory() for _ in range(3))
        write = (hidden if kind == "another directory" else shown).danger_whole_text().encode()
        if kind != "another directory":
            write = write.replace(b"DIR2", b"SSK")
        crooked = msgspec.structs.replace(Entry.of(b"docs", shown), write=write)
        vault.edit_directory(root, lambda entries: [*entries, crooked, Entry.of(b"good", good)])
    for command in (["backup", str(victim.source), "tallac:docs"], ["mkdir", "tallac:docs/new"], ["rm", "tallac:docs/new"]):
        assert "its write cap leads elsewhere than its read cap" in victim.tallac.fails(*command)
    assert b"docs" in victim.tallac("ls", "tallac:").out
    for options in ([], ["--read-data"]):
        assert "its write cap leads elsewhere than its read cap" in victim.tallac("check", "tallac:", *options, status=1).err
    victim.tallac("backup", victim.source, "tallac:good")
    victim.tallac("restore", "tallac:good/Latest", tmp_path / "good")
    assert contents(tmp_path / "good") == contents(victim.source)
    victim.tallac("rm", "tallac:docs")
    victim.tallac("backup", victim.source, "tallac:docs")
    victim.tallac("check", "tallac:")
    victim.require_unharmed(tmp_path / "restored")
