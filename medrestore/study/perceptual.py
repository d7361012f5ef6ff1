"""The networks of LPIPS and FID, loaded once for a process."""

from functools import lru_cache

from ..evaluation import Inception, load_inception, load_lpips
from ..evaluation.perceptual import LPIPS


@lru_cache(maxsize=1)
def lpips_of(files: tuple[str, ...]) -> LPIPS | None:
    """LPIPS with the weights of some files; None without any."""
    return load_lpips(*files) if files else None


@lru_cache(maxsize=1)
def inception_of(file: str | None) -> Inception | None:
    """The network of FID with the weights of a file; None without one."""
    return None if file is None else load_inception(file)
