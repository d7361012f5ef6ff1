"""Fixtures that several folders of tests share."""

from helpers.scans import bench, grey_prior, scan, tiny_prior  # noqa: F401
