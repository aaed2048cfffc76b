"""Fakes that implement the protocols, for tests here and in other projects."""
