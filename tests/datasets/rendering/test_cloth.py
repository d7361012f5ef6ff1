"""Drapes are painted where they lie."""

import numpy as np

from medrestore.datasets.rendering.cloth import Cloth
from medrestore.datasets.rendering.tools import Canvas, SmoothNoise, rounded_box


def test_cloth_covers_only_where_its_distance_is_negative(canvas: Canvas) -> None:
    view = canvas.view
    inside = rounded_box(view.x, view.y, 0.3, 0.2, 0.05)
    Cloth.drawn(np.random.default_rng(3), (0.2, 0.5, 0.4)).lay(canvas, SmoothNoise(np.random.default_rng(5)), inside)
    painted = (canvas.lamp + canvas.rest).max(0) > 0
    assert painted[inside < -0.03].all() and not painted[inside > 0.35].any()
    assert np.isfinite(canvas.lamp).all() and np.isfinite(canvas.rest).all()
