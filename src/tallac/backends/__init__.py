"""Named bytes: where a vault keeps its objects, and wrappers that add one concern each."""
