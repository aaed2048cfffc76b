"""Reports of operations, for people and as JSON."""
