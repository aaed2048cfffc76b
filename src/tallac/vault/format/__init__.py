"""The vault's bytes: keys, objects, links, tables, footers, padding, compression. docs/format.md is the specification."""

FORMAT_VERSION = 2
