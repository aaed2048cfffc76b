"""Which snapshots stay: forget and bring back, hold and release, tags and notes, and taking paths out of snapshots."""
