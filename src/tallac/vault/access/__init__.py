"""Who gets in: passphrases, envelopes of keys and caps, and the second copies of both."""
