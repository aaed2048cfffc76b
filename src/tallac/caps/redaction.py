"""Taking caps and keys out of text that people and logs get to see."""

from __future__ import annotations

import re

from tallac.caps.authority import short_fingerprint_of

# A colon, as it is or as URLs have it.
_COLON = r"(?::|%(?:25)*3A)"
# Where a line was broken in a secret as it was copied, as it is or escaped.
_BREAK = r"(?:\s|\\[nrt])+"
_BROKEN_OFF = rf"(?:{_COLON}?{_BREAK}[a-z2-7]{{16,}}(?:{_COLON}[a-z0-9]+)*)*"

_CAP = re.compile(
    rf"(?:ro\.|imm\.)?uri{_COLON}(?P<kind>[a-z0-9-]+)(?:{_COLON}[a-z0-9]+)+{_BROKEN_OFF}",
    re.IGNORECASE,
)
_KEY = re.compile(rf"(?P<head>tallac-[a-z]+-[0-9]+){_COLON}[a-z2-7]+{_BROKEN_OFF}", re.IGNORECASE)
_PASSWORD = re.compile(r"(?P<head>\b[a-z][a-z0-9+.-]*://[^\s/@:'\"]*):[^\s/@'\"]+@", re.IGNORECASE)
_ANY_COLON = re.compile(_COLON, re.IGNORECASE)


def redact(text: str) -> str:
    """Return text in which each cap is its kind and short fingerprint, and each key and each password in a URL is gone.

    What merely looks like one is taken out as well: a cap with a typing error still says most of what the right one says.
    """
    text = _CAP.sub(_fingerprint, text)
    text = _KEY.sub(r"\g<head>:...", text)
    return _PASSWORD.sub(r"\g<head>:...@", text)


def _fingerprint(found: re.Match[str]) -> str:
    whole = _ANY_COLON.sub(":", found[0])
    kind = found["kind"].upper()
    if kind.endswith("LIT"):
        # Such a cap is the content, which may be so short that a fingerprint would let it be guessed.
        return f"{kind} of {len(whole.rpartition(':')[2]) * 5 // 8} bytes"
    return f"{kind} {short_fingerprint_of(whole)}..."
