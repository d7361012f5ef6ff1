"""Figures, tables and plots, and one HTML report of them."""

from .html import Curves, Picture, Point, Table, write_report
from .overlay import overlay, write_overlay
from .panel import Column, frames_panel, panel

__all__ = [
    "Column", "Curves", "Picture", "Point", "Table", "frames_panel", "overlay", "panel", "write_overlay", "write_report",
]
