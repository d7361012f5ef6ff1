"""Pictures and tables for people."""

from .panel import Column, panel

__all__ = ["Column", "panel"]
