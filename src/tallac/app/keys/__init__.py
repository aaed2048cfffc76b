"""Vault keys and caps as the configuration, a passphrase or a recovery kit keeps them."""
