"""`python -m tallac`."""

import sys

from tallac.cli import main

sys.exit(main())
