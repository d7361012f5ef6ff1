"""Images of any common format, and files of others like them."""

from .base import Images, Place
from .open import SUFFIXES, check_written, encode, kind_of, open_images, spread_name, suffix_of

__all__ = [
    "SUFFIXES",
    "Images",
    "Place",
    "check_written",
    "encode",
    "kind_of",
    "open_images",
    "spread_name",
    "suffix_of",
]
