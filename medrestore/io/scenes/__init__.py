"""Scenes: frames, what is known of each, and the truth where there is one."""
