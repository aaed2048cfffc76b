"""Copy a vault, whole or in part, without reading it."""
