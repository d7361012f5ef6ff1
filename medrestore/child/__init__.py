"""A process of its own for parsers of other people's making, with limits on its memory and its time.

A damaged file can make a library of compiled code (HDF5, FFmpeg, Arrow) hang, take gigabytes or corrupt its heap. All
of that happens in a child, which dies then; here it is one error. The child is started at the first file and stays; a
fork of it, which takes milliseconds, reads each file. It imports neither torch nor anything else of this package that
is slow to load.
"""

from .process import Answer, Child, Limits, shared

__all__ = ["Answer", "Child", "Limits", "shared"]
