import random

import pytest
from blake3 import blake3
from tests.formats.second_hash import PLAIN_BYTES_MAX, hashed, hashed_plainly

EDGES = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4096, 4097, 5120, 8192, 8193, 31744]


@pytest.mark.parametrize("size", EDGES)
def test_plain_python_hashes_as_the_binding_does(size: int) -> None:
    """At every edge of the tree, keyed or not, short or long, plain Python's BLAKE3 is the binding's."""
    noise = random.Random(size)
    data, key = noise.randbytes(size), noise.randbytes(32)
    assert hashed_plainly(data) == blake3(data).digest()
    assert hashed_plainly(data, key, 64) == blake3(data, key=key).digest(length=64)


def test_a_published_value() -> None:
    """The hash of nothing is the one in BLAKE3's published test vectors."""
    assert hashed(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def test_long_data_go_to_the_binding() -> None:
    """What is too long for plain Python gives the same hash."""
    data = bytes(PLAIN_BYTES_MAX + 1)
    assert hashed(data, length=64) == hashed_plainly(data, length=64)
