"""Tagged hashes, key derivation, sealing and signing: the only importer of ciphers."""

from typing import TYPE_CHECKING

from tallac.late import front

if TYPE_CHECKING:
    from tallac.crypto.hashing import Hasher as Hasher, hash_file_bytes as hash_file_bytes, keyed as keyed, tag_key as tag_key
    from tallac.crypto.padding import padme as padme
    from tallac.crypto.passphrases import SALT_SIZE as SALT_SIZE, PassphraseCost as PassphraseCost, stretch as stretch
    from tallac.crypto.sealing import (
        NONCE_SIZE as NONCE_SIZE,
        SEAL_OVERHEAD as SEAL_OVERHEAD,
        TAG_SIZE as TAG_SIZE,
        open_sealed as open_sealed,
        seal as seal,
        seal_checked as seal_checked,
    )
    from tallac.crypto.signing import (
        PUBLIC_KEY_SIZE as PUBLIC_KEY_SIZE,
        SIGNATURE_SIZE as SIGNATURE_SIZE,
        SigningKey as SigningKey,
        is_signed_by as is_signed_by,
    )

__getattr__ = front(
    __name__,
    {
        "tallac.crypto.hashing": "Hasher hash_file_bytes keyed tag_key",
        "tallac.crypto.padding": "padme",
        "tallac.crypto.passphrases": "SALT_SIZE PassphraseCost stretch",
        "tallac.crypto.sealing": "NONCE_SIZE SEAL_OVERHEAD TAG_SIZE open_sealed seal seal_checked",
        "tallac.crypto.signing": "PUBLIC_KEY_SIZE SIGNATURE_SIZE SigningKey is_signed_by",
    },
)
