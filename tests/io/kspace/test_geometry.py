"""Slices in the order of their positions, their spacing, and affines."""

import numpy as np
import pytest

from medrestore.io.kspace.geometry import place

FRAME = np.stack([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], np.cross([0.0, 0.6, 0.8], [1.0, 0.0, 0.0])], -1)
PIXEL = (2.0, 3.0, 5.0)


def placed(steps, *, frame=FRAME, **options):
    """Slices that lie at so many mm along the normal, in the order of their counters."""
    positions = np.array([10.0, -20.0, 30.0]) + np.array(steps)[:, None] * FRAME[:, 2]
    return place(np.arange(len(steps)), positions, np.repeat(frame[None], len(steps), 0), **options)


@pytest.mark.parametrize(("steps", "order"), [
    ([0, 6, 12, 18], (0, 1, 2, 3)),
    ([18, 12, 6, 0], (0, 1, 2, 3)),  # the counters begin at the other end, and may
    ([0, 12, 6, 18], (0, 2, 1, 3)),
    ([0, 12, 24, 6, 18], (0, 3, 1, 4, 2)),  # odd ones first
    ([6, 18, 0, 12], (2, 0, 3, 1)),  # even ones first
])
def test_order_and_spacing(steps, order):
    found = placed(steps)
    assert found.order == order and found.spacing(5.0) == pytest.approx(6.0)
    assert bool(found.notes) == (order != tuple(range(len(steps))))
    if found.notes:
        assert f"their counters, which then run {', '.join(map(str, order))}." in found.notes[0]
    for index, at in enumerate(order):  # each slice's affine has the slice itself as 0, and the centre on (3, 2)
        centre = (found.affine(index, PIXEL, (3, 2)) @ [3, 2, 0, 1])[:3]
        np.testing.assert_allclose(centre, (np.array([10, -20, 30]) + steps[at] * FRAME[:, 2]) * [-1, -1, 1], atol=1e-9)
    first = found.affine(0, PIXEL, (3, 2))
    last = len(steps) - 1
    np.testing.assert_allclose(first @ [3, 2, last, 1], found.affine(last, PIXEL, (3, 2)) @ [3, 2, 0, 1])
    np.testing.assert_allclose(np.linalg.norm(first[:3, :3], axis=0), [2, 3, 6])


def test_one_slice_is_as_thick_as_the_header_says():
    found = placed([4.0])
    assert found.spacing(5.0) == 5.0
    np.testing.assert_allclose(np.linalg.norm(found.affine(0, PIXEL, (3, 2))[:3, :3], axis=0), PIXEL)
    assert place(np.array([0]), np.full((1, 3), np.nan)).affine(0, PIXEL, (0, 0)) is None


@pytest.mark.parametrize(("steps", "said"), [
    ([0, 6, 13], "are 6 to 7 mm apart"),
    ([0, 12, 6, 19], "are 6 to 7 mm apart"),
    ([5, 5, 5], "lie in one place"),
    ([0, 6, 6], "lie in one place"),
])
def test_uneven_or_equal_positions_give_no_affine_and_say_why(steps, said):
    found = placed(steps)
    assert any(said in note for note in found.notes)
    assert found.affine(0, PIXEL, (3, 2)) is None and found.spacing(5.0) == 5.0


def test_slices_on_no_line_and_positions_that_are_no_numbers():
    fan = place(np.arange(3), np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 0]]))
    assert "do not lie on a line" in fan.notes[0] and fan.order == (0, 1, 2)
    assert "lie in one place" in place(np.arange(2), np.array([[0.0, 0, 0], [np.nan, 0, 0]])).notes[0]


def test_directions_that_are_none():
    skewed = FRAME.copy()
    skewed[:, 0] = [1, 0.1, 0]
    found = placed([0, 12, 6], frame=skewed)
    assert found.order == (0, 2, 1) and found.affine(0, PIXEL, (0, 0)) is None and found.spacing(5.0) == pytest.approx(6)
    assert "no right angles" in found.notes[-1]
