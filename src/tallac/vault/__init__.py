"""The vault: Tallac's own grid, over any backend. docs/format.md describes what it stores."""
