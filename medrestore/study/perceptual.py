"""The network of LPIPS, loaded once for a process."""

from functools import lru_cache

from ..evaluation import load_lpips
from ..evaluation.perceptual import LPIPS


@lru_cache(maxsize=1)
def lpips_of(files: tuple[str, ...]) -> LPIPS | None:
    """LPIPS with the weights of some files; None without any."""
    return load_lpips(*files) if files else None
