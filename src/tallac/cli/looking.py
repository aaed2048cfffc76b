"""How looks at what is stored are shown: trouble, and sizes."""

from __future__ import annotations

from dataclasses import dataclass, field

from tallac.cli.command import Run
from tallac.cli.display import json_name
from tallac.cli.messages import show_name
from tallac.look.trouble import Trouble


@dataclass(slots=True)
class Troubles:
    """Says on standard error what could not be looked at, and remembers that there was something."""

    run: Run
    count: int = field(default=0, init=False)

    def __call__(self, trouble: Trouble) -> None:
        """Take note of one."""
        self.count += 1
        if self.run.output.is_json:
            self.run.output.record(type="trouble", what=trouble.what, **json_name(trouble.path, "path"))
        self.run.output.warn(f"{show_name(trouble.path) or 'what was asked for'}: {trouble.what}")

    @property
    def status(self) -> int:
        """The exit status: 1 where the answer lacks something."""
        return 1 if self.count else 0
