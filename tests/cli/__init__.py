"""The command line, on tiny scans."""
