import random
import tracemalloc

from hypothesis import given, strategies as st

from tallac.look.digest_set import DIGEST_SIZE, DigestSet

DIGESTS = st.lists(st.binary(min_size=1, max_size=2).map(lambda part: (part * DIGEST_SIZE)[:DIGEST_SIZE]), max_size=60)


@given(DIGESTS)
def test_it_answers_as_a_set_does(digests: list[bytes]) -> None:
    """Each digest is new once, also where the end of one and the beginning of the next look like a third."""
    found, model = DigestSet(), set[bytes]()
    for digest in digests:
        assert found.add(digest) == (digest not in model)
        model.add(digest)


def test_it_takes_little_more_than_the_digests() -> None:
    """Of 60,000 digests the second half takes less than 40 bytes each; with more of them it is less."""
    chance, found = random.Random(1), DigestSet()
    tracemalloc.start()
    try:
        for _ in range(30_000):
            found.add(chance.randbytes(DIGEST_SIZE))
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(30_000):
            found.add(chance.randbytes(DIGEST_SIZE))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / 30_000 < 40
