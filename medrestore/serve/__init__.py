"""A page for a browser on this machine: a scan, an image or a frame in, what is made of it out."""
