"""All that `tallac --help` and `tallac COMMAND --help` print, as one text: `make help-texts` writes it into help.txt."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from tallac.cli.group import COMMANDS, group

PINNED = Path(__file__).with_name("help.txt")
# Click leaves two of a terminal's 80 columns free.
COLUMNS = 78


def help_texts() -> str:
    """Return the help of the program and of each command, in the order of the table, as a terminal of 80 columns shows it."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    for words in ((), *((name,) for name in COMMANDS)):
        arguments = [*words, "--help"]
        output = io.StringIO()
        with redirect_stdout(output):
            group.main(arguments, prog_name="tallac", standalone_mode=False, terminal_width=COLUMNS)
        yield f"$ tallac {' '.join(arguments)}\n{output.getvalue()}"


if __name__ == "__main__":
    PINNED.write_text(help_texts(), "utf-8")
