"""Write objects, files and directories in a session."""
