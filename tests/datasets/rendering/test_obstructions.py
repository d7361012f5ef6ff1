"""Hands and instruments that hide the patient."""

import numpy as np

from medrestore.datasets.rendering.obstructions import RodPlace, Shape
from medrestore.datasets.rendering.tools import SceneView


def test_rods_measure_true_distances_wherever_they_are_put() -> None:
    view = SceneView.through((80, 120), centre=(0.1, 0.0), zoom=1.0, angle=0.2, tilt=0.0)
    place = RodPlace(0.2, -0.1, 0.7, 0.5, hand=-1)
    rod = np.array([(0.0, 0.0, 0.1, 0.6, 0.2, 0.1, 0.2, 0.2)])
    shape = Shape(view, rod, place, 0.05)
    a, b = (np.array(place.point(*end)) for end in ((0.0, 0.0), (0.6, 0.2)))
    points = np.stack([view.x, view.y], -1)
    t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    expected = np.linalg.norm(points - a - t[..., None] * (b - a), axis=-1) - 0.1
    near = expected < 0.04
    assert near.any() and np.allclose(shape.distance[near], expected[near], atol=1e-4)
    assert (shape.distance[expected > 0.06] > 0.05).all()
