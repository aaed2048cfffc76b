"""Read objects and files, in this process and in workers."""
