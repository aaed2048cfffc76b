"""Walk a snapshot without writing: dry runs and verification."""
