"""Trajectories in cycles per field of view: where their samples lie."""

import math

import pytest
import torch
from helpers.operators import pixels

from medrestore.errors import InputError
from medrestore.mri import points_of, radial, rosette, spiral
from medrestore.mri.trajectories import GOLDEN

SIZE = (40, 30)


def test_spokes_pass_through_the_centre() -> None:
    t = radial(7, SIZE)
    assert t.shape == (7, 80, 2) and not t[:, 40].any()
    edge = t[:, 0]
    assert (edge[:, 0] / 20).square() + (edge[:, 1] / 15).square() == pytest.approx(1, rel=1e-5)
    angles = torch.atan2(t[:, -1, 0] / 40, t[:, -1, 1] / 30)
    assert (angles.diff() - GOLDEN).abs().remainder(math.pi).sub(math.pi / 2).abs().min() > 1.5  # modulo half a turn
    even = radial(4, (32, 32), golden=False, samples=16)
    assert even[1, 0].tolist() == pytest.approx([-16 * math.sin(math.pi / 4), -16 * math.cos(math.pi / 4)], rel=1e-5)


def test_a_spiral_leaves_one_cycle_between_its_turns() -> None:
    t = spiral(4, (32, 32))
    assert t.shape[0] == 4 and not t[:, 0].any()
    assert float(torch.linalg.vector_norm(t, dim=-1).max()) == pytest.approx(16)
    step = torch.linalg.vector_norm(t.diff(dim=1), dim=-1)
    assert float(step.max()) < 1.05  # no sample is farther than a cycle from the last
    turned = torch.stack([t[0, :, 1], -t[0, :, 0]], -1)
    assert min(float((turned - t[k]).abs().max()) for k in (1, 3)) < 1e-4
    dense = spiral(4, (32, 32), power=2.0)
    assert (torch.linalg.vector_norm(dense, dim=-1) < 4).float().mean() > (torch.linalg.vector_norm(t, dim=-1) < 4).float().mean()


def test_each_petal_of_a_rosette_passes_through_the_centre() -> None:
    t = rosette(9, (32, 32))
    radius = torch.linalg.vector_norm(t, dim=-1)
    assert t.shape == (9, 128, 2) and bool((radius.amin(1) < 1e-3).all()) and bool((radius.amax(1) > 15.9).all())


@pytest.mark.parametrize("size", [(6, 5), (5, 8)])
def test_points_of_a_mask(size: tuple[int, int]) -> None:
    mask = torch.zeros(1, size[1])
    mask[0, ::2] = 1
    t = points_of(mask, size)
    assert t.shape == (len(range(0, size[1], 2)), size[0], 2)
    assert t[0, 0].tolist() == [-(size[0] // 2), -(size[1] // 2)] and t[0, size[0] // 2, 0] == 0
    with pytest.raises(InputError, match="columns have different numbers of points"):
        points_of(pixels(*size), size)
    with pytest.raises(InputError, match="columns have different numbers of points"):
        points_of(torch.zeros(1, size[1]), size)


@pytest.mark.parametrize(("make", "what"), [
    (lambda: radial(0, SIZE), "spokes is 0"), (lambda: radial(3, SIZE, samples=0), "samples is 0"),
    (lambda: radial(3, (0, 4)), r"\(height, width\) of positive integers"), (lambda: spiral(0, SIZE), "interleaves is 0"),
    (lambda: spiral(3, SIZE, turns=-1.0), "turns is -1"), (lambda: spiral(3, SIZE, power=math.nan), "power is nan"),
    (lambda: rosette(0, SIZE), "petals is 0"), (lambda: rosette(2, SIZE, ratio=math.inf), "ratio is inf"),
])
def test_what_is_no_trajectory(make: object, what: str) -> None:
    with pytest.raises(InputError, match=what):
        make()  # type: ignore[operator]
