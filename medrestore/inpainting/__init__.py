"""Surgical inpainting: frames in, frames out. Names are imported when they are first asked for."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from .arrays import inpaint as inpaint
    from .frame import inpaint_frame as inpaint_frame
    from .plan import Machine as Machine
    from .plan import Plan as Plan
    from .plan import Reading as Reading
    from .plan import Writing as Writing
    from .scene import FilledFrame as FilledFrame
    from .scene import fill_frames as fill_frames

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={
    "arrays": ["inpaint"],
    "frame": ["inpaint_frame"],
    "plan": ["Machine", "Plan", "Reading", "Writing"],
    "scene": ["FilledFrame", "fill_frames"],
})
