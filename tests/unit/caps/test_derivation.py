"""The one-way steps from key to key."""

from __future__ import annotations

from hashlib import sha256

from tallac.caps import read_key_of, storage_index_of, storage_index_of_read_key

KEY = bytes(range(16))


def _tagged_hash(tag: bytes, key: bytes) -> bytes:
    """Compute a derivation the slow way, straight from its definition."""
    once = sha256(b"%d:%s,%s" % (len(tag), tag, key)).digest()
    return sha256(once).digest()[:16]


def test_each_step_has_its_own_tag() -> None:
    """Each step is SHA-256 applied twice to a tag of its own and the key, cut to 16 bytes."""
    assert storage_index_of(KEY) == _tagged_hash(b"allmydata_immutable_key_to_storage_index_v1", KEY)
    assert read_key_of(KEY) == _tagged_hash(b"allmydata_mutable_writekey_to_readkey_v1", KEY)
    assert storage_index_of_read_key(KEY) == _tagged_hash(b"allmydata_mutable_readkey_to_storage_index_v1", KEY)


def test_calls_do_not_influence_each_other() -> None:
    """The state that is kept between calls never changes."""
    first = storage_index_of(KEY)
    storage_index_of(b"other key, other")
    assert storage_index_of(KEY) == first
