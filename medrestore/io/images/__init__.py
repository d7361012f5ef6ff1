"""Images of any common format, and files of others like them."""

from .base import FileImages, Place
from .flat import npy_bytes
from .open import SUFFIXES, check_written, encode_images, kind_of, open_images, spread_name, suffix_of

__all__ = [
    "SUFFIXES",
    "FileImages",
    "Place",
    "check_written",
    "encode_images",
    "kind_of",
    "npy_bytes",
    "open_images",
    "spread_name",
    "suffix_of",
]
