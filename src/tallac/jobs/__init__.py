"""Jobs: backups that run by themselves. Which there are, when each is due, and what its runs have come to."""
