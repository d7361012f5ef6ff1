"""What encodings along a trajectory have in common: samples of coil images, and the window that holds the object."""

import torch
from helpers.operators import COMPLEX, coil_maps, full, pixels, spokes
from laws import close, white

from medrestore.operators import NonCartesianSense
from medrestore.operators.laws import inner


def encoding() -> NonCartesianSense:
    maps = coil_maps(15, 23)
    maps[..., :5, :] = 0
    return NonCartesianSense(maps, spokes(4, 10), pixels(4, 10))


def test_samples_of_coil_images_and_their_adjoint() -> None:
    A, coils, y = encoding(), white((2, 3, 15, 23), COMPLEX), white((2, 3, 4, 10), COMPLEX, seed=1)
    assert abs(inner(A.samples_of(coils), y) - inner(coils, A.coils_of(y))) < 1e-4 * float(coils.norm() * y.norm())
    assert not (A.samples_of(coils) * (1 - A.mask)).any()


def test_the_window_holds_the_object_and_has_quick_lengths() -> None:
    A = encoding()
    window, kernel = A.windowed
    assert kernel.shape == tuple(each.stop - each.start for each in window) == (10, 21)
    assert torch.equal(A.in_window, A.maps[(..., *window)])
    outside = A.support.clone()
    outside[window] = 0
    assert not outside.any()


def test_how_far_samples_are_from_the_centre() -> None:
    A = NonCartesianSense(coil_maps(8, 12), torch.tensor([[[4.0, 0], [0, 3]]]), full(torch.zeros(1, 2, 2)))
    close(A.radius, torch.tensor([[1.0, 0.5]]), 1e-6)
