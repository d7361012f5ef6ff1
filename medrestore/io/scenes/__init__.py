"""Scenes: frames, their masks, and the truth if available."""
