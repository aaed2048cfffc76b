"""Read keys, caps and passphrases from files, commands, the keyring or the terminal."""
