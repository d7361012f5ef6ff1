"""Patients: skin, heads, sites and cloth are functions of their generator, lit and finite."""

import numpy as np
import pytest

from medrestore.datasets.rendering.patient import Cloth, PatientHead, Skin
from medrestore.datasets.rendering.tools import Canvas, Light, SceneView, SmoothNoise, rounded_box

SIZE = (40, 56)


@pytest.fixture
def canvas() -> Canvas:
    view = SceneView.through(SIZE, centre=(0.0, 0.0), zoom=1.0, angle=0.1, tilt=0.0)
    light = Light((0.3, 0.2, 0.93), (0.0, 0.0), 0.8, np.ones((3, 1, 1), np.float32), 0.2, 0.3)
    return Canvas.blank(view, light)


def noise() -> SmoothNoise:
    return SmoothNoise(np.random.default_rng(5))


def test_skin_is_a_function_of_its_generator_and_reflects_a_part_of_the_light(canvas: Canvas) -> None:
    first, again, other = (Skin.drawn(np.random.default_rng(seed)) for seed in (1, 1, 2))
    view = canvas.view
    colours = [skin.albedo(noise(), view.x, view.y, view.pixel) for skin in (first, again, other)]
    assert colours[0].shape == (3, *SIZE) and colours[0].min() > 0 and colours[0].max() < 1.2
    np.testing.assert_array_equal(colours[0], colours[1])
    assert not np.allclose(colours[0], colours[2])


def test_cloth_covers_only_where_its_distance_is_negative(canvas: Canvas) -> None:
    view = canvas.view
    inside = rounded_box(view.x, view.y, 0.3, 0.2, 0.05)
    Cloth.drawn(np.random.default_rng(3), (0.2, 0.5, 0.4)).lay(canvas, noise(), inside)
    painted = (canvas.lamp + canvas.rest).max(0) > 0
    assert painted[inside < -0.03].all() and not painted[inside > 0.35].any()
    assert np.isfinite(canvas.lamp).all() and np.isfinite(canvas.rest).all()


def test_a_head_is_painted_around_its_centre(canvas: Canvas) -> None:
    head = PatientHead.drawn(np.random.default_rng(4), (0.0, 0.0), 0.4, np.pi / 2)
    head.lay(canvas, noise(), None)
    view = canvas.view
    away = np.hypot(view.x, view.y)
    painted = (canvas.lamp + canvas.rest).max(0) > 0
    assert painted[away < 0.2].all() and not painted[away > 0.95].any()
    assert np.isfinite(canvas.lamp).all()
