import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[a-z0-9._, -]+\])?==[^\s;]+(\s*;[^\\]+)?(\s+--hash=sha256:[0-9a-f]{64})+$")


def _project_name(requirement: str) -> str:
    """Cut a requirement down to the project's normalised name."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


def _declared() -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    requirements = [*project["project"]["dependencies"]]
    for extra in project["project"].get("optional-dependencies", {}).values():
        requirements += extra
    for group in project["dependency-groups"].values():
        requirements += group
    return {_project_name(requirement) for requirement in requirements}


def _logical_lines(path: Path) -> list[str]:
    """Give a lock file's requirements, each on one line, without comments."""
    lines = [line.strip() for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    return [line.strip() for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md gives each dependency a row, and holds none that is gone."""
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    rows = {_project_name(name) for name in re.findall(r"^\| `([^`]+)`", page, flags=re.MULTILINE)}
    assert rows == _declared()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_are_exact(lock: Path) -> None:
    """Every locked requirement has one version and at least one hash."""
    requirements = _logical_lines(lock)
    assert requirements
    assert [line for line in requirements if not REQUIREMENT.match(line)] == []


def _wanted_extras(installed: Iterable[Distribution]) -> dict[str, set[str]]:
    """Collect the extras with which some packages want others."""
    wanted: dict[str, set[str]] = {}
    for text in [text for distribution in installed for text in distribution.requires or []]:
        requirement = Requirement(text)
        if requirement.extras and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            wanted.setdefault(_project_name(text), set()).update(requirement.extras)
    return wanted


@pytest.mark.parametrize(("lock", "environment"), [("test", ".venv"), ("oracle", ".tahoe-venv"), ("release", ".release-venv")])
def test_locks_name_extras(lock: str, environment: str) -> None:
    """Where a lock names no extra that is wanted, pip 23.2 takes the newest release for it, and stops when that is not locked."""
    folders = list((ROOT / environment).glob("lib/python*/site-packages"))
    if not folders:
        pytest.skip(f"there is no {environment}")
    locked = {_project_name(line): line for line in _logical_lines(ROOT / "requirements" / f"{lock}.txt")}
    for name, extras in _wanted_extras(distributions(path=[str(folder) for folder in folders])).items():
        if name in locked:
            assert extras <= Requirement(locked[name].split(" --hash")[0]).extras, name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_name_no_place(lock: Path) -> None:
    """A lock says what is installed and not where from."""
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host", text)


def _versions(lock: str) -> set[str]:
    """Give the names and versions in a lock file."""
    return {f"{_project_name(line)}=={line.partition('==')[2].split()[0]}" for line in _logical_lines(ROOT / "requirements" / lock)}


def test_the_locks_agree() -> None:
    """What users get and what is tested are the same versions."""
    assert _versions("lock.txt")
    assert _versions("lock.txt") <= _versions("test.txt")


def test_the_lock_covers_the_dependencies() -> None:
    """Every core dependency is locked."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = {_project_name(requirement) for requirement in tomllib.load(file)["project"]["dependencies"]}
    locked = {_project_name(line) for line in _logical_lines(ROOT / "requirements" / "lock.txt")}
    assert dependencies <= locked
