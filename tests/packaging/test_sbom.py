"""The bill of materials that `make sbom` writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.packaging.conftest import ROOT, run

from tallac import __version__

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder in which it is, made as for a release."""
    folder = tmp_path_factory.mktemp("bill")
    run("scripts/release.sh", "sbom", folder)
    return folder


def test_it_has_what_is_locked(made: Path) -> None:
    """It is CycloneDX, names this version, and lists each locked package with its version and hashes, and no other."""
    bill = json.loads((made / f"tallac-{__version__}.cdx.json").read_text("utf-8"))
    assert bill["bomFormat"] == "CycloneDX"
    main = bill["metadata"]["component"]
    assert (main["name"], main["version"], main["type"]) == ("tallac", __version__, "application")
    text = (ROOT / "requirements" / "lock.txt").read_text("utf-8")
    locked = set(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", text, flags=re.MULTILINE))
    assert locked
    assert {(part["name"], part["version"]) for part in bill["components"]} == locked
    for part in bill["components"]:
        assert part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}"
        hashes = {each["content"] for reference in part["externalReferences"] for each in reference.get("hashes", [])}
        assert hashes, part["name"]
        assert all(each in text for each in hashes)


def test_it_is_the_same_each_time(made: Path, tmp_path: Path) -> None:
    """Nothing in it depends on the time or the machine, so that two releases can be compared."""
    run("scripts/release.sh", "sbom", tmp_path)
    one, two = (next(folder.iterdir()).read_bytes() for folder in (made, tmp_path))
    assert one == two
