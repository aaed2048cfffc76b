"""Write single files with their content, metadata and hard links."""
