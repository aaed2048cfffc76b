"""Tallac for a user: operations over a workspace of aliases, keys and locations. `client.Client` is the front door."""
