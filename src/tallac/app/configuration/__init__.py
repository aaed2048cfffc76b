"""The user's folders and the configuration file."""
