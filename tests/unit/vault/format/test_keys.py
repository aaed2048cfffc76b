import pytest
from hypothesis import given, strategies as st

from tallac.crypto.hashing import hash_file_bytes, keyed
from tallac.crypto.signing import SigningKey, is_signed_by
from tallac.errors import AuthorityError, MalformedCapError
from tallac.vault.format.keys import EnvelopeKey, KeeperKey, LocatorKey, WriterKey, parse_envelope_key, parse_vault_key

SECRET = bytes(range(32))
VAULT = bytes(range(16))
KINDS: list[type[WriterKey] | type[KeeperKey] | type[LocatorKey]] = [WriterKey, KeeperKey, LocatorKey]


def derived(key: bytes, purpose: bytes) -> bytes:
    """Derive as docs/format.md says."""
    return keyed(key, b"tallac vault 2 " + purpose)


def test_the_chain_of_keys() -> None:
    """Writer, keeper and locator key follow from each other as the format says."""
    writer = WriterKey(SECRET)
    keeper = writer.keeper_key
    assert keeper.secret == derived(SECRET, b"keeper key")
    assert keeper.locator_key.secret == derived(keeper.secret, b"locator key")
    assert writer.locator_key == keeper.locator_key == keeper.locator_key.locator_key
    assert keeper.keeper_key == keeper
    assert writer.convergence == derived(SECRET, b"convergence")
    assert writer.table_cut == derived(SECRET, b"table cut")
    assert writer.chunker_seed == int.from_bytes(derived(SECRET, b"chunker seed")[:8], "big") >> 1
    public = SigningKey(derived(SECRET, b"signer")).public + SigningKey(derived(keeper.secret, b"signer")).public
    assert public == writer.signer.public + keeper.signer.public
    assert writer.vault == keeper.vault == keeper.locator_key.vault == keyed(hash_file_bytes(b"tallac vault 2 id"), public)[:16]
    assert keeper.locator_key.check == derived(keeper.locator_key.secret, b"check")[:16]
    assert keeper.roots == derived(keeper.secret, b"roots")
    assert keeper.locator_key.naming == derived(keeper.locator_key.secret, b"object names")
    assert keeper.locator_key.structure_key == derived(keeper.locator_key.secret, b"structure")


def made(kind: type[WriterKey] | type[KeeperKey] | type[LocatorKey], secret: bytes) -> WriterKey | KeeperKey | LocatorKey:
    """Return a key of some kind; a writer key's vault follows from it."""
    if kind is WriterKey:
        return WriterKey(secret)
    return KeeperKey(secret, VAULT) if kind is KeeperKey else LocatorKey(secret, VAULT)


def test_who_signs() -> None:
    """A writer and a keeper sign, each under its number; a locator key can't."""
    writer = WriterKey(SECRET)
    for number, key in ((1, writer), (2, writer.keeper_key)):
        stamp = key.sign(b"message")
        assert stamp[0] == number
        assert is_signed_by(key.signer.public, stamp[1:], b"message")
        assert not is_signed_by(key.signer.public, stamp[1:], b"another")
    with pytest.raises(AuthorityError, match="locator key can't change a vault"):
        writer.locator_key.sign(b"message")


def test_a_text_names_its_vault() -> None:
    """A key's text says which vault it is for, and one with another vault's id in it is a typing error."""
    for key in (KeeperKey(SECRET, VAULT), EnvelopeKey(SECRET, VAULT)):
        other = type(key)(SECRET, bytes(16)).danger_whole_text()
        assert key.danger_whole_text() != other
        assert (parse_envelope_key(other) if isinstance(key, EnvelopeKey) else parse_vault_key(other)).vault == bytes(16)
    text, moved = WriterKey(SECRET).danger_whole_text(), WriterKey(bytes(32)).danger_whole_text()
    start = len("tallac-writer-2:") + 52
    with pytest.raises(MalformedCapError):
        parse_vault_key(text[:start] + moved[start:])


def test_a_weaker_key_has_no_way_back() -> None:
    """No key has an attribute that leads to a stronger one."""
    keeper = WriterKey(SECRET).keeper_key
    for stronger in ("writer_key", "convergence", "chunker_seed", "table_cut"):
        assert not hasattr(keeper, stronger)
    for stronger in ("writer_key", "keeper_key", "roots", "convergence"):
        assert not hasattr(keeper.locator_key, stronger)


def test_all_derived_keys_differ() -> None:
    """No secret serves two purposes."""
    writer = WriterKey(SECRET)
    keeper, locator = writer.keeper_key, writer.locator_key
    secrets = [
        SECRET,
        writer.convergence,
        writer.table_cut,
        keeper.secret,
        keeper.roots,
        locator.secret,
        locator.naming,
        locator.structure_key,
        locator.check,
        writer.signer.public,
        keeper.signer.public,
    ]
    assert len(set(secrets)) == len(secrets)


@given(st.binary(min_size=32, max_size=32), st.sampled_from(KINDS))
def test_text_and_back(secret: bytes, kind: type[WriterKey] | type[KeeperKey] | type[LocatorKey]) -> None:
    """A key's text leads back to it, also with white space around, and is one line."""
    key = made(kind, secret)
    text = key.danger_whole_text()
    assert parse_vault_key(f" {text}\n") == key
    assert text.startswith(f"tallac-{key.kind}-2:")
    assert "\n" not in text


@given(st.integers(0, 200), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567018-:A= "))
def test_a_typing_error_is_noticed(place: int, character: str) -> None:
    """Another character anywhere makes it no key."""
    text = WriterKey(SECRET).danger_whole_text()
    place %= len(text)
    wrong = text[:place] + character + text[place + 1 :]
    if wrong.strip() != text:
        with pytest.raises(MalformedCapError):
            parse_vault_key(wrong)


@given(st.text(max_size=100))
def test_anything_else_is_no_key(text: str) -> None:
    """Only declared errors come of other texts."""
    for candidate in (text, "tallac-writer-2:" + text):
        with pytest.raises(MalformedCapError):
            parse_vault_key(candidate)


def test_swapped_left_out_and_doubled_characters() -> None:
    """What fingers do to a text is noticed, and another kind's text is none of this kind."""
    text = KeeperKey(SECRET, VAULT).danger_whole_text()
    wrongs = [text[:20] + text[21] + text[20] + text[22:], text[:30] + text[31:], text[:30] + text[30] * 2 + text[31:]]
    wrongs += [text.replace("keeper", "writer"), text.replace("keeper", "reader"), text.upper(), text.replace("-2:", "-1:"), ""]
    for wrong in wrongs:
        with pytest.raises(MalformedCapError):
            parse_vault_key(wrong)


def test_keys_do_not_print() -> None:
    """A key's repr shows no secret."""
    for kind in KINDS:
        assert repr(made(kind, SECRET)) == f"{kind.__name__}()"
