"""Frames, masks, archives and containers for the tests of scenes."""

import numpy as np
import pytest
from PIL import Image

from medrestore.errors import InputError

SIZE = (12, 16)


def picture(index=0, size=SIZE):
    return np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)


def white(index=0, size=SIZE):
    """A mask, white in a square that moves along; 9 of 192 pixels."""
    mask = np.zeros(size, np.uint8)
    mask[2:5, index : index + 3] = 255
    return mask


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def refused(match, call, *args, **options):
    with pytest.raises(InputError, match=match) as error:
        call(*args, **options)
    assert "\n" not in str(error.value)
