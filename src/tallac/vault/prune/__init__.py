"""Delete unreferenced objects and reclaim their space. docs/format.md, "Prune", is the protocol."""
