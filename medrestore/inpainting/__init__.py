"""Surgical inpainting: frames in, frames out."""

from .frame import inpaint_frame
from .plan import Plan

__all__ = ["Plan", "inpaint_frame"]
