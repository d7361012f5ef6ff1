"""Folders of pictures and the photographs of scikit-image."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.datasets import images
from medrestore.datasets.folders import Pictures
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


def test_pictures_of_16_bits_keep_every_level_of_a_stated_interval(tmp_path):
    """12 bits in 16, and values as DeepLesion stores them (HU + 32768)."""
    twelve, lesion = ("twelve", np.arange(0, 3000, 3), (0, 4095)), ("lesion", np.arange(32268, 33268), (31768, 33768))
    for name, values, interval in (twelve, lesion):
        stored = values.reshape(25, 40).astype(np.uint16)
        Image.fromarray(stored).save(tmp_path / f"{name}.png")
        with pytest.raises(InputError, match=r"16 bits a channel, .* state it, as interval: \[0, 4095\]"):
            Pictures(str(tmp_path / f"{name}.png"), channels=1)
        pictures = Pictures(str(tmp_path / f"{name}.png"), channels=1, interval=interval)
        expected = 2 * (stored - interval[0]) / (interval[1] - interval[0]) - 1
        assert np.allclose(pictures[0][0].numpy(), expected, atol=1e-6) and len(np.unique(pictures[0])) == 1000
        assert pictures.recipe == Interval(*interval)
        magnitudes = Pictures(str(tmp_path / f"{name}.png"), channels=1, magnitude=True, interval=interval)
        assert np.allclose(magnitudes[0][0].numpy(), (expected + 1) / 2, atol=1e-6)
    with pytest.raises(InputError, match="interval must rise"):
        Pictures(str(tmp_path / "twelve.png"), channels=1, interval=(1, 0))
    with pytest.raises(InputError, match="needs channels: 1"):
        Pictures(str(tmp_path / "twelve.png"), interval=(0, 1))
