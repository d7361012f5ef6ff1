"""Fixtures of the jobs's tests."""

from cli.scans import bench, grey_prior, scan, tiny_prior  # noqa: F401
