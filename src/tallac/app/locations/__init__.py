"""From what a user writes (aliases, folders, URLs, Tahoe-LAFS nodes) to a vault or a node."""
