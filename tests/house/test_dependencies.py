import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==[^\s;]+(\s*;[^\\]+)?(\s+--hash=sha256:[0-9a-f]{64})+$")


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


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_locks_name_no_place(lock: Path) -> None:
    """A lock says what is installed and not where from."""
    text = lock.read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host", text)


def test_the_locks_agree() -> None:
    """What users get and what is tested are the same versions."""
    core = set(re.findall(r"^([\w.-]+==\S+)", (ROOT / "requirements" / "lock.txt").read_text("utf-8"), flags=re.MULTILINE))
    tested = set(re.findall(r"^([\w.-]+==\S+)", (ROOT / "requirements" / "test.txt").read_text("utf-8"), flags=re.MULTILINE))
    assert core
    assert core <= tested


def test_the_lock_covers_the_dependencies() -> None:
    """Every core dependency is locked."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = {_project_name(requirement) for requirement in tomllib.load(file)["project"]["dependencies"]}
    locked = {_project_name(line) for line in _logical_lines(ROOT / "requirements" / "lock.txt")}
    assert dependencies <= locked
