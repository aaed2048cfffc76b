"""The one-file program that `make binary` builds begins here.

It is its own interpreter, and has no `-m`: a worker process is this program again, with the arguments that an interpreter would
get.
"""

from __future__ import annotations

import sys

from tallac.workers.pool import WORKER_ARGUMENTS

if tuple(sys.argv[1:]) == WORKER_ARGUMENTS:
    from tallac.workers.process import main  # lazy import: its caller wants either this
else:
    from tallac.cli import main  # lazy import: or this

main()
