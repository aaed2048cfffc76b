"""Tagged hashes, key derivation, sealing and signing: the only importer of ciphers."""

from tallac.crypto.hashing import Hasher, hash_file_bytes, keyed, tag_key
from tallac.crypto.padding import padme
from tallac.crypto.passphrases import SALT_SIZE, PassphraseCost, stretch
from tallac.crypto.sealing import NONCE_SIZE, SEAL_OVERHEAD, TAG_SIZE, open_sealed, seal, seal_checked
from tallac.crypto.signing import PUBLIC_KEY_SIZE, SIGNATURE_SIZE, SigningKey, is_signed_by

__all__ = [
    "NONCE_SIZE",
    "PUBLIC_KEY_SIZE",
    "SALT_SIZE",
    "SEAL_OVERHEAD",
    "SIGNATURE_SIZE",
    "TAG_SIZE",
    "Hasher",
    "PassphraseCost",
    "SigningKey",
    "hash_file_bytes",
    "is_signed_by",
    "keyed",
    "open_sealed",
    "padme",
    "seal",
    "seal_checked",
    "stretch",
    "tag_key",
]
