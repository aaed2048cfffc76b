"""Repair a vault from what is left of it, a mirror or the next backup."""
