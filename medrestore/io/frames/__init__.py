"""Frames and their masks: pictures, stacks and videos."""
