"""Print all that `tallac --help` and `tallac COMMAND --help` print, as one text: `make help-texts` puts it into help.txt.

It runs in a process of its own, because click's commands remember the names of their help option from whoever asks first.
"""

from __future__ import annotations

import sys

from tallac.cli.group import group
from tallac.cli.table import COMMANDS

# Click leaves two of a terminal's 80 columns free.
WIDTH = 78


def main() -> None:
    """Print the help of the program and of each command, in the order of the table, as a terminal of 80 columns shows it."""
    for words in ((), *((name,) for name in COMMANDS)):
        arguments = [*words, "--help"]
        sys.stdout.write(f"$ tallac {' '.join(arguments)}\n")
        group.main(arguments, prog_name="tallac", standalone_mode=False, terminal_width=WIDTH)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
