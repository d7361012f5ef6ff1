"""Colours of the report stand out from the ground, and greys from each other."""

import numpy as np
import pytest

from medrestore.report.page import STYLE
from medrestore.report.palettes import COLOURS, ERRORS, GREYS, Palette

LIGHT, DARK = "#ffffff", "#1a1e22"


def luminance(colour: str) -> float:
    """Relative, as WCAG 2 has it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [COLOURS, GREYS])
def test_lines_stand_out_from_the_ground(palette: Palette) -> None:
    assert len(set(palette.light)) == len(set(palette.dark)) == 8
    assert min(contrast(colour, LIGHT) for colour in palette.light) > 2.9  # 3 is what graphics need
    assert min(contrast(colour, DARK) for colour in palette.dark) > 2.9
    assert palette.style(palette.light).startswith(f"--series-0: {palette.light[0]}; --series-1:")


def test_greys_are_grey_and_the_first_ones_far_apart() -> None:
    for colour in (*GREYS.light, *GREYS.dark):
        assert colour[1:3] == colour[3:5] == colour[5:7]
    levels = sorted(int(colour[1:3], 16) for colour in GREYS.light[:4])
    assert min(np.diff(levels)) > 20


def test_errors_are_as_bright_as_they_are_large() -> None:
    from matplotlib import colormaps

    brightness = colormaps[ERRORS](np.arange(256))[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(brightness) > -1e-3).all() and brightness[-1] - brightness[0] > 0.9


def test_both_palettes_are_in_the_style_sheet() -> None:
    for colours in (COLOURS.light, COLOURS.dark, GREYS.light, GREYS.dark):
        assert all(colour in STYLE for colour in colours)
    assert "LIGHT" not in STYLE and "DARK" not in STYLE
