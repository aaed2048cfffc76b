"""Mutable objects: registers, slots, sessions, pending deletions, and the memory that notices rollbacks."""
