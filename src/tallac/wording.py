"""How numbers of things are written in messages and output."""

from __future__ import annotations


def pluralize(count: int, noun: str, *, with_commas: bool = False) -> str:
    """Return a count with its noun: `1 pack`, `2 packs`, `3 directories`; with_commas groups the thousands of the count."""
    number = f"{count:,}" if with_commas else str(count)
    if count == 1:
        return f"{number} {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeou" else f"{number} {noun}s"
