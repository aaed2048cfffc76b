"""`python -m tallac`."""

from tallac.cli import main

main()
