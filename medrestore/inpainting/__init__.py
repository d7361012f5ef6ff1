"""Surgical inpainting: frames in, frames out. Names are imported when they are first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arrays import inpaint as inpaint
    from .frame import inpaint_frame as inpaint_frame
    from .plan import Plan as Plan
    from .scene import FilledFrame as FilledFrame
    from .scene import fill_frames as fill_frames

_MODULES = {
    "FilledFrame": "scene",
    "Plan": "plan",
    "fill_frames": "scene",
    "inpaint": "arrays",
    "inpaint_frame": "frame",
}

__all__ = ["FilledFrame", "Plan", "fill_frames", "inpaint", "inpaint_frame"]


def __getattr__(name: str) -> Any:
    """A public name, from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
