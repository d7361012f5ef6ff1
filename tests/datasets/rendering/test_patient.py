"""Patients: skin, heads and sites are functions of their generator, lit and finite."""

import numpy as np

from medrestore.datasets.rendering.patient import PatientHead, Skin
from medrestore.datasets.rendering.tools import Canvas, SmoothNoise

SIZE = (40, 56)


def noise() -> SmoothNoise:
    return SmoothNoise(np.random.default_rng(5))


def test_skin_is_a_function_of_its_generator_and_reflects_a_part_of_the_light(canvas: Canvas) -> None:
    first, again, other = (Skin.drawn(np.random.default_rng(seed)) for seed in (1, 1, 2))
    view = canvas.view
    colours = [skin.albedo(noise(), view.x, view.y, view.pixel) for skin in (first, again, other)]
    assert colours[0].shape == (3, *SIZE) and colours[0].min() > 0 and colours[0].max() < 1.2
    np.testing.assert_array_equal(colours[0], colours[1])
    assert not np.allclose(colours[0], colours[2])


def test_a_head_is_painted_around_its_centre(canvas: Canvas) -> None:
    head = PatientHead.drawn(np.random.default_rng(4), (0.0, 0.0), 0.4, np.pi / 2)
    head.lay(canvas, noise(), None)
    view = canvas.view
    away = np.hypot(view.x, view.y)
    painted = (canvas.lamp + canvas.rest).max(0) > 0
    assert painted[away < 0.2].all() and not painted[away > 0.95].any()
    assert np.isfinite(canvas.lamp).all()
