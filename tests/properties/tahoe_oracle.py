"""Answer what Tahoe-LAFS makes of a cap's text: one JSON string a line in, one JSON object a line out.

Runs in an environment of its own, .tahoe-venv (`make oracle`): Tahoe-LAFS supports fewer versions of Python than Tallac.
"""

from __future__ import annotations

import json
import sys

from allmydata import uri  # type: ignore[import-not-found]
from allmydata.interfaces import IVerifierURI  # type: ignore[import-not-found]


def answer(text: str) -> dict[str, bool | str | None]:
    """Return whether the cap is known, the caps that it attenuates to, and its storage index."""
    cap = uri.from_string(text)
    if isinstance(cap, uri.UnknownURI):
        return {"unknown": True, "text": cap.to_string().decode("utf-8")}
    # The verify cap of a directory attenuates wrongly there: it becomes the verify cap of a mutable directory.
    verify_cap = cap if IVerifierURI.providedBy(cap) else cap.get_verify_cap()
    storage_index = cap.get_storage_index()
    return {
        "unknown": False,
        "text": cap.to_string().decode("ascii"),
        "read": cap.get_readonly().to_string().decode("ascii") if hasattr(cap, "get_readonly") else None,
        "verify": verify_cap.to_string().decode("ascii") if verify_cap else None,
        "storage_index": storage_index.hex() if storage_index else None,
    }


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
