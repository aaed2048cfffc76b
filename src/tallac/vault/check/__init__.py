"""Check a vault: its structure, its packs, and everything below a cap or below all roots."""
