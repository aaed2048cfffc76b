"""Ask restic which snapshots it keeps, for random dates and rules, and write the answers to tests/vectors/forget.json.

Run it as `python scripts/make_forget_vectors.py RESTIC`, with restic's binary. It takes some minutes. What it writes is what the
tests compare with on machines without restic.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.unit.retention.restic_oracle import Restic, random_history, random_options  # noqa: E402 - the path comes first.

HISTORIES = 8
POLICIES = 500
VECTORS = ROOT / "tests" / "vectors" / "forget.json"


def main() -> None:
    """Make a repository, ask, and write."""
    source = random.Random(1)  # noqa: S311 - these dates are no secrets.
    histories = {f"h{number}": random_history(source, 10 + 4 * number) for number in range(HISTORIES)}
    with tempfile.TemporaryDirectory() as folder:
        restic = Restic(sys.argv[1], Path(folder))
        for host, history in histories.items():
            for snapshot in history:
                restic.add(host, snapshot)
        answers = []
        for _ in range(POLICIES):
            options = random_options(source)
            kept = restic.kept(options)
            answers.append({"options": options, "kept": {host: sorted(found) for host, found in kept.items()}})
    lines = ",\n".join(json.dumps(answer, separators=(",", ":")) for answer in answers)
    VECTORS.write_text(f'{{"histories":{json.dumps(histories)},\n"answers":[\n{lines}\n]}}\n')
    print(f"{os.path.relpath(VECTORS)}: {POLICIES} policies")


if __name__ == "__main__":
    main()
