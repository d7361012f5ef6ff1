"""The renderer's tools: noise, distances, views, shading."""

import numpy as np

from medrestore.datasets.rendering.tools import SmoothNoise


def test_noise_is_smooth_and_drops_what_pixels_cannot_show() -> None:
    noise = SmoothNoise(np.random.default_rng(0))
    y, x = np.mgrid[0:50:300j, 0:50:300j].astype(np.float32)
    field = noise(x, y, 1.0, 3)
    assert abs(field.mean()) < 0.1 and 0.4 < field.std() < 1.1
    assert np.abs(np.diff(noise(x / 30, y / 30, 1.0, 3), axis=1)).max() < 0.05 * np.ptp(field)  # smooth
    assert not np.array_equal(field, noise(x, y, 1.0, 4))
    near = noise(np.linspace(0, 0.02, 400), np.zeros(400), 0.5, 999)  # half a percent of a cell, in steps that a height map takes
    assert len(np.unique(near)) > 300
    assert not noise(x, y, 1.0, 3, pixel=2.0).any()
    assert np.allclose(noise(x, y, 1.0, 3, octaves=3, pixel=0.6), noise(x, y, 1.0, 3, pixel=0.6))
