"""Puts what is compiled into a wheel, where there is a C compiler; the wheel is then for this system and its processor."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledPart(BuildHookInterface):
    """The hook: `scripts/compile.sh` compiles, and is silent where it can't."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. A clone that is installed by reference has its own: `scripts/environment.sh`."""
        self._folder = Path(tempfile.mkdtemp())
        if version == "editable":
            return
        subprocess.run([Path(self.root, "scripts", "compile.sh"), self._folder], check=True)
        library = self._folder / "libtallac.so.1"
        if library.is_file():
            build_data["force_include"][str(library)] = f"tallac/native/{library.name}"
            build_data["pure_python"] = False
            build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was put aside."""
        shutil.rmtree(self._folder)
