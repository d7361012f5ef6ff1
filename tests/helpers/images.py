"""Pictures and volumes on disk for the tests of data sets."""

from pathlib import Path

import numpy as np
from PIL import Image

PHANTOMS = {"kind": "phantoms", "count": 6, "size": 24}


def save_picture(path: Path, seed: int, size: tuple[int, int] = (20, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path
