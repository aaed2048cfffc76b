import pytest

from tallac.caps import Cap, ImmutableDirectory, ImmutableFile, LiteralDirectory, LiteralFile, parse
from tallac.dag import EncodedCap, decode_cap, encode_cap
from tallac.errors import MalformedObjectError

KEY, HASH = bytes(range(16)), bytes(range(32))
ERASURE_CODED = "URI:CHK:aaaaaaaaaaaaaaaaaaaaaaaaaa:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:3:10:1234"
FORMS = ("is_file", "is_directory", "is_literal_file", "is_text")


@pytest.mark.parametrize(
    ("cap", "form", "size"),
    [
        (ImmutableFile(KEY, HASH, 1, 1, 70_000), "is_file", 70_000),
        (ImmutableFile(KEY, HASH, 1, 1, 0), "is_file", 0),
        (ImmutableDirectory(KEY, HASH, 1, 1, 300), "is_directory", 300),
        (LiteralFile(b"hello"), "is_literal_file", 5),
        (LiteralDirectory(b"hello!"), "", 6),
        (parse(ERASURE_CODED), "is_text", 1234),
    ],
)
def test_the_parts_of_an_encoded_cap(cap: Cap, form: str, size: int) -> None:
    """An encoded cap names its form and its parts as the cap itself does, and is of one form alone."""
    encoded = EncodedCap(encode_cap(cap))
    assert [each for each in FORMS if getattr(encoded, each)] == ([form] if form else [])
    assert encoded.size == size
    assert encoded.has_file_size is (form in ("is_file", "is_literal_file"))
    if encoded.is_hashed:
        assert isinstance(cap, ImmutableFile | ImmutableDirectory)
        assert (encoded.key, encoded.hash) == (cap.key, cap.hash)
    if encoded.is_literal:
        assert isinstance(cap, LiteralFile | LiteralDirectory)
        assert encoded.data == cap.data
    assert decode_cap(encoded) == cap


@pytest.mark.parametrize("wrong", [b"C" + bytes(47), b"C" + bytes(48) + b"\0\1", b"D" + bytes(48) + b"\1" * 9])
def test_a_wrong_length(wrong: bytes) -> None:
    """A cap that is cut short, or whose size is too long or has leading zeros, is refused."""
    with pytest.raises(MalformedObjectError, match="wrong length"):
        EncodedCap(wrong).require_hashed()
    with pytest.raises(MalformedObjectError, match="wrong length"):
        decode_cap(wrong)
