"""Which pack holds which object, on this machine and in the vault."""
