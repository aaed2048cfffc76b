"""The wheel and the source distribution, each installed into an environment of its own."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.packaging.conftest import ROOT, run

from tallac import __version__

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder with both, as `make wheel` builds them: the wheel is made of the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run("scripts/release.sh", "wheel", folder)
    return folder


def only(folder: Path, pattern: str) -> Path:
    """Give the one file of a pattern."""
    [path] = folder.glob(pattern)
    return path


def test_what_is_in_them(built: Path) -> None:
    """The wheels have the whole package and little else; the source distribution has what a clone needs to be tested."""
    package = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src" / "tallac").rglob("*.py")}
    compiled = {"tallac/native/libtallac.so.1"}
    for pattern, more in (("*-py3-none-any.whl", set()), ("*-py3-none-linux_*.whl", compiled)):
        with zipfile.ZipFile(only(built, pattern)) as wheel:
            names = {name for name in wheel.namelist() if ".dist-info/" not in name}
            assert names == package | more | {"tallac/py.typed"} & names
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "README.md", "LICENSE", "Makefile", "requirements/lock.txt", "scripts/environment.sh"}
    assert wanted | {f"src/{name}" for name in package} <= inside
    assert not [name for name in inside if name.startswith((".git/", ".venv", "build/"))]


def test_an_installation(built: Path, tmp_path: Path) -> None:
    """Installed with pinned dependencies, the command backs up and restores, from each; no file of the clone is used."""
    venv = tmp_path / "venv"
    run("python3", "-m", "venv", venv)
    # What is not imported here need not be compiled. All need the same packages, so these are installed once.
    pip = venv / "bin" / "pip"
    install = (pip, "install", "--quiet", "--no-compile")
    run(*install, "--require-hashes", "--requirement", "requirements/lock.txt")
    for pattern in ("*-any.whl", "*-linux_*.whl", "*.tar.gz"):
        assert not list(venv.rglob("*tallac*"))
        if pattern == "*.tar.gz":
            run(*install, "--require-hashes", "--requirement", "requirements/build.txt")
        run(*install, "--no-deps", "--no-index", "--no-build-isolation", only(built, pattern))
        assert_it_works(venv, tmp_path / pattern.strip("*"), is_compiled="any" not in pattern)
        run(pip, "uninstall", "--quiet", "--yes", "tallac")


def assert_it_works(venv: Path, folder: Path, *, is_compiled: bool) -> None:
    """Back up and restore with the command of an environment."""
    tallac, source, restored, home = venv / "bin" / "tallac", folder / "source", folder / "restored", str(folder / "home")
    assert run(tallac, "--version").strip() == f"tallac {__version__}"
    where = run(venv / "bin" / "python", "-P", "-c", "import tallac; print(tallac.__file__)")
    assert where.startswith(str(venv))
    loaded = run(venv / "bin" / "python", "-P", "-c", "from tallac.native import loaded; print(loaded() is not None)")
    assert loaded.strip() == str(is_compiled)
    source.mkdir(parents=True)
    (source / "file").write_text("content")
    (source / "large").write_bytes(b"0123456789" * 700_000)
    run(tallac, "backup", source, TALLAC_HOME=home)
    run(tallac, "restore", "tallac:Latest", restored, TALLAC_HOME=home)
    assert (restored / "file").read_text() == "content"
    assert (restored / "large").read_bytes() == (source / "large").read_bytes()
