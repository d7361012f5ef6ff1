"""Panels: images at their stated peak, side by side, as one PNG."""

import numpy as np
import pytest
import torch
from PIL import Image

from medrestore.report import Column, frames_panel, panel


def shades(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def test_the_peak_is_white_and_zero_is_black(tmp_path):
    half = torch.full((20, 30), 2.0)
    panel([Column("a", half, 2.0), Column("b", half, 4.0), Column("c", 0 * half, 4.0)], tmp_path / "new" / "a.png")
    pixels = shades(tmp_path / "new" / "a.png")
    row = pixels[2 * len(pixels) // 3, :, 0]
    third = len(row) // 3
    assert [int(row[k * third + third // 2]) for k in range(3)] == [255, 128, 0]
    assert list(tmp_path.glob("**/*.part")) == []


@pytest.mark.parametrize("rows", [1, 2])
def test_rows_make_a_panel_narrow_and_high(tmp_path, rows):
    panel([Column(str(k), torch.ones(10, 10), 1.0) for k in range(3)], tmp_path / "a.png", rows=rows)
    height, width = shades(tmp_path / "a.png").shape[:2]
    assert (height > width) == (rows == 2)


def test_frames_keep_their_colours(tmp_path):
    red, blue = (torch.zeros(3, 30, 40, dtype=torch.uint8) for _ in range(2))
    red[0], blue[2] = 200, 100
    frames_panel([[("red", red), ("blue", blue)]], tmp_path / "a.png", title="two frames")
    pixels = shades(tmp_path / "a.png")
    line = pixels[2 * len(pixels) // 3]
    assert line[len(line) // 4].tolist() == [200, 0, 0] and line[3 * len(line) // 4].tolist() == [0, 0, 100]


def test_repr_has_no_pixels():
    assert repr(Column("a", torch.ones(99, 99), 2.0)) == "Column(title='a', peak=2.0)"
