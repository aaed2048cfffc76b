"""Which docs/format.md describes what is stored."""

FORMAT_VERSION = 1
