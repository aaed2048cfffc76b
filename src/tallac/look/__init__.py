"""Looking: what differs, where things are in all snapshots, how they came to be, and what they take. Nothing is changed here."""
