"""Figures and an HTML report."""

from .panel import Column, panel

__all__ = ["Column", "panel"]
