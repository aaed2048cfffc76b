"""Tagged hashes, key derivation, sealing and signing: the only importer of ciphers."""
