"""Read-only operations: differences, searches in all snapshots, the history of a path, and sizes."""
