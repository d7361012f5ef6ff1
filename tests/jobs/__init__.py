"""Jobs on files and folders."""
