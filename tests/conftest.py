"""Stands here so that pytest puts this folder on the path: the rooms' tests import `laws`."""
