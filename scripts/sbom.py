"""Write the bill of materials of a release, as CycloneDX, from the lock file: scripts/sbom.py FOLDER.

cyclonedx-bom makes it. What that can't know is added here, the version, which pyproject.toml leaves to the package; and what it
says of lines in a file of ours is taken out. The result is checked against CycloneDX's own schema before it is written.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

ROOT = Path(__file__).parents[1]


def main(folder: Path) -> None:
    """Write `tallac-VERSION.cdx.json` into a folder."""
    found = re.search(r'^__version__ = "([^"]+)"', (ROOT / "src/tallac/__init__.py").read_text("utf-8"), flags=re.MULTILINE)
    assert found is not None, "src/tallac/__init__.py says the version"
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "requirements/lock.txt"]
    options = ["--pyproject", "pyproject.toml", "--spec-version", "1.6", "--output-reproducible", "--of", "JSON", "-o", "-"]
    made = subprocess.run([*command, *options], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    bill = json.loads(made.stdout)
    bill["metadata"]["component"] |= {"version": found[1], "purl": f"pkg:pypi/tallac@{found[1]}"}
    for component in bill["components"]:
        del component["description"]
    text = json.dumps(bill, indent=2, ensure_ascii=False) + "\n"
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem is not None:
        sys.exit(f"tallac: the bill of materials is malformed: {problem}")
    (folder / f"tallac-{found[1]}.cdx.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
