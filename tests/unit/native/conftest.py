"""What tests of the compiled functions share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tallac.native import LIBRARY, VERSION, Library


@pytest.fixture
def compiled() -> Library:
    """Return the compiled functions."""
    loaded = Library.load(LIBRARY, VERSION)
    if loaded is None:
        if os.environ.get("CI"):
            pytest.fail("nothing is compiled: scripts/compile.sh does it, with a C compiler")
        pytest.skip("nothing is compiled here: there is no C compiler, or it is left out")
    return loaded


def compiled_with(folder: Path, source: str, bent: str) -> Library:
    """Compile the functions anew, one of the sources with something before it; return them."""
    (folder / f"bent-{source}").write_text(f'{bent}\n#include "{source}"\n')
    others = [path for path in LIBRARY.parent.glob("*.c") if path.name != source]
    command: list[str | Path] = [
        "cc",
        "-shared",
        "-fPIC",
        f"-I{LIBRARY.parent}",
        "-o",
        folder / "bent.so",
        folder / f"bent-{source}",
    ]
    subprocess.run([*command, *others], check=True)
    library = Library.load(folder / "bent.so", VERSION)
    assert library is not None
    return library


HURRY = """
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <time.h>
static int clock_of_hurry(clockid_t clock, struct timespec *now)
{
    static time_t seconds;
    now->tv_sec = seconds++;
    return (int)clock * 0;
}
#define clock_gettime clock_of_hurry
"""
"""Before a source, it lets a second pass with each look at the clock."""
