"""Fakes that fill the protocols' seats in tests, ours and others'."""
