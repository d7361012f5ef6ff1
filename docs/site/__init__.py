"""Builds the pages of the documentation into a static site."""
