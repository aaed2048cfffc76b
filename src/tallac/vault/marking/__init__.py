"""Marks: what hangs from roots, sessions and caps, found by following verified links, and which copies of it there are."""
