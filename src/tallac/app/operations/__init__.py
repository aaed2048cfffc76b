"""The operations on vaults and grids, one service a module."""
