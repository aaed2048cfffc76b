"""Switch off each protection of a vault, one at a time, and see that some test turns red: `make mutate`.

    python scripts/mutate.py [PART OF A NAME]

Works on a copy, with the Python that runs this. Ends with status 1 if a protection can be taken away without any test noticing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutations import MUTATIONS, Mutation

HERE = Path(__file__).resolve().parent.parent


def main(wanted: str) -> int:
    """Try all mutations whose names contain a text; return the exit status."""
    survivors = [mutation.name for mutation in MUTATIONS if wanted in mutation.name and not is_noticed(mutation)]
    for name in survivors:
        print(f"NOT NOTICED: {name}")
    return bool(survivors)


def is_noticed(mutation: Mutation) -> bool:
    """Apply a mutation to a copy and run its tests."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(
            HERE,
            copy,
            ignore=shutil.ignore_patterns(".git", ".*venv", ".azurite", "build", "__pycache__", ".*_cache", ".hypothesis"),
        )
        path = copy / mutation.path
        text = path.read_text()
        if text.count(mutation.before) != 1:
            raise SystemExit(f"{mutation.path} does not have once: {mutation.before}")
        path.write_text(text.replace(mutation.before, mutation.after))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutation.tests.split()]
        environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        failed = [line for line in result.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        # Status 1 says that tests ran and some failed; all else, that they did not run.
        outcome = "noticed" if result.returncode == 1 else "SURVIVED"
        print(f"{outcome}: {mutation.name}: {failed[0] if failed else result.stdout[-300:]}", flush=True)
        return result.returncode == 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
