"""`python -m tallac`, which also works in a clone, with `PYTHONPATH=src` and the packages that `make setup` installs."""

import sys

from tallac.cli import main

try:
    main()
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "tallac":
        raise
    sys.exit(f"tallac: the Python package {error.name} is missing; in a clone, `make setup` installs it into .venv")
