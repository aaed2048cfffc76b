"""Worker processes: separate programs that carry out jobs for this one.

`tallac.workers.pool` starts them, and `tallac.workers.process` is the program that they run. Nothing is imported here: neither side
needs the other's half.
"""
