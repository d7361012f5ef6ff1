"""The centre of k-space regridded: as a Cartesian scan would have it, and coil maps from it."""

import pytest
import torch
from helpers.operators import full
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.mri import calibration_width, covered, espirit, gridded_centre, points_of, radial, rosette, sampling_mask, spiral
from medrestore.operators import NonCartesianSense

SIZE = (64, 60)
TRAJECTORIES = {"radial": radial(60, SIZE), "spiral": spiral(12, SIZE), "rosette": rosette(90, SIZE)}


@pytest.mark.parametrize("name", TRAJECTORIES)
def test_the_centre_is_that_of_a_cartesian_scan(name: str) -> None:
    image, maps, _ = head_and_maps(SIZE, 4, 0)
    t = TRAJECTORIES[name]
    y = NonCartesianSense(maps, t, full(t))(image.to(torch.complex64))
    centre, mask = gridded_centre(y, t, SIZE)
    expected = fft2c(maps * image) * mask
    assert float((centre - expected).norm() / expected.norm()) < 0.06
    assert min(calibration_width(mask)) >= 12  # type: ignore[type-var]
    ours, theirs = espirit(centre, mask=mask), espirit(expected, mask=mask)
    seen = (ours != 0) & (theirs != 0)
    assert seen.float().mean() > 0.3 and float((ours - theirs)[seen].abs().mean()) < 0.05


def test_points_of_a_mask_cover_the_mask() -> None:
    mask = sampling_mask("uniform1d", SIZE, 3, seed=0).mask
    assert torch.equal(covered(points_of(mask, SIZE), SIZE), mask.expand(SIZE))
    weights = torch.ones(int(mask.sum()), 64)
    weights[0] = 0
    assert covered(points_of(mask, SIZE), SIZE, weights)[:, int(mask[0].nonzero()[0])].sum() == 0


def test_samples_of_weight_zero_and_beyond_the_edge_count_for_nothing() -> None:
    image, maps, _ = head_and_maps(SIZE, 4, 0)
    t = torch.cat([TRAJECTORIES["radial"], torch.full((2, 128, 2), 3.0), torch.full((1, 128, 2), 1e6)])
    weights = torch.ones(63, 128)
    weights[60:] = 0
    y = NonCartesianSense(maps, TRAJECTORIES["radial"], full(TRAJECTORIES["radial"]))(image.to(torch.complex64))
    wrong = torch.cat([y, torch.full((1, 4, 3, 128), 1e3 + 0j)], 2)
    centre, mask = gridded_centre(wrong, t, SIZE, weights)
    expected, _ = gridded_centre(y, TRAJECTORIES["radial"], SIZE)
    torch.testing.assert_close(centre, expected)
    assert covered(t, SIZE).sum() == covered(TRAJECTORIES["radial"], SIZE).sum() and bool(mask.any())


def test_a_trajectory_that_misses_the_centre() -> None:
    with pytest.raises(InputError, match="no sample at the centre of k-space"):
        gridded_centre(torch.ones(1, 2, 3, 4, dtype=torch.complex64), torch.full((3, 4, 2), 9.0), SIZE)
