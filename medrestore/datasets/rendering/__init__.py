"""A small procedural renderer of operating-room views."""
