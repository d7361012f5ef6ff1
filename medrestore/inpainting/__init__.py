"""Surgical inpainting: frames in, frames out. Names are imported when they are first asked for."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
