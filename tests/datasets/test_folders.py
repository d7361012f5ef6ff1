"""Folders of pictures and the photographs of scikit-image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.datasets import images
from medrestore.errors import InputError


def test_pictures_are_in_range_upright_and_grouped(tmp_path: Path) -> None:
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    Image.fromarray(pixels).save(tmp_path / "s7_frame1.png", exif=exif)
    source = images({"kind": "pictures", "files": str(tmp_path), "group": r"^.*/(s\d+)_"})
    assert source.recipe == Interval() and source[0].shape == (3, 6, 4)
    assert source[0][:, 0, 3].tolist() == [1, -1, -1] and source.group_of(0) == "pictures: s7"
    grey = images({"kind": "pictures", "files": str(tmp_path), "channels": 1, "magnitude": True, "group": "file"})
    assert grey.recipe == CalibratedComplex() and grey[0].shape == (1, 6, 4) and grey[0].min() == 0
    assert grey.group_of(0) == "pictures: s7_frame1"
    with pytest.raises(InputError, match="no regular expression"):
        images({"kind": "pictures", "files": str(tmp_path), "group": "("})


def test_photographs_are_colour_and_apart() -> None:
    source = images({"kind": "photographs", "names": ["astronaut", "motorcycle_left", "motorcycle_right"]})
    assert source[0].shape == (3, 512, 512) and -1 <= source[0].min() < -0.9 < 0.9 < source[0].max() <= 1
    assert source.groups() == {"photographs: astronaut", "photographs: motorcycle"}
