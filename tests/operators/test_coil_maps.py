"""Smooth coil maps and what they make of a known image."""

import torch
from helpers.operators import COMPLEX, full, lines, spokes
from laws import close, white

from medrestore.mri import simulated_maps
from medrestore.operators import EncodedMaps, NonCartesianSense, Sense, SingleCoil, SmoothMaps, check


def test_laws() -> None:
    maps = SmoothMaps((12, 10), 5)
    check(maps, (3, 5, 5), dtype=COMPLEX)
    image, one, points = white((1, 1, 12, 10), COMPLEX), torch.ones(1, 1, 12, 10, dtype=COMPLEX), spokes(4, 10)
    for encoding in (SingleCoil(lines(10)), NonCartesianSense(one, points, full(points))):
        check(EncodedMaps(maps, image, encoding), (3, 5, 5), dtype=COMPLEX)


def test_they_encode_as_sense_does() -> None:
    c, image = white((1, 4, 3, 3), COMPLEX), white((1, 1, 12, 10), COMPLEX)
    maps = SmoothMaps((12, 10), 3)
    close(EncodedMaps(maps, image, SingleCoil(lines(10)))(c), Sense(maps(c), lines(10))(image))
    points, one = spokes(4, 10), torch.ones_like(image)
    along = NonCartesianSense(maps(c), points, full(points))
    close(EncodedMaps(maps, image, NonCartesianSense(one, points, full(points)))(c), along(image), 1e-5)


def test_smooth_maps_are_made_of_few_coefficients() -> None:
    """Maps of a ring of coils to 1 %, and opposite edges may differ."""
    maps = SmoothMaps((24, 24), 9)
    wanted = simulated_maps(4, (24, 24), generator=torch.Generator().manual_seed(0))
    basis = maps(torch.eye(81, dtype=COMPLEX).reshape(81, 1, 9, 9)).flatten(1).T
    solved = torch.linalg.lstsq(basis, wanted[0].flatten(1).T).solution
    close((basis @ solved).T.reshape(1, 4, 24, 24), wanted, 0.01)
    ramp = maps(white((1, 1, 9, 9), COMPLEX))
    assert float((ramp[..., 0] - ramp[..., -1]).abs().max()) > 0.1
