"""Worker processes: programs of their own that carry out jobs for this one.

`tallac.workers.pool` starts them, and `tallac.workers.process` is what they run. Nothing is imported here: each side does without
the other's half.
"""
