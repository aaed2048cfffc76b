"""Where objects are kept: packs that are written, read in windows, verified, and moved away when damaged."""
