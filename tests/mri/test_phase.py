"""The phase of an image from the centre of its k-space."""

import pytest
import torch
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.mri import centre_image, phase_and_deviation

SHAPE = (48, 40)


def test_the_phase_is_that_of_the_image_whatever_side_was_left_out() -> None:
    image, maps, _ = head_and_maps(SHAPE, 4, 0)
    kspace = fft2c(maps * image)
    bright = image.abs() > 0.3
    for kept in (slice(10, 40), slice(0, 31), slice(0, 40)):
        mask = torch.zeros(1, SHAPE[1])
        mask[:, kept] = 1
        phase, deviation = phase_and_deviation(centre_image(mask * kspace, mask, maps))
        turned = (image * phase.conj())[bright]
        assert float(turned.imag.square().mean() / turned.abs().square().mean()) < 0.01
        assert float((deviation > 0).float().mean()) == 1.0 and torch.allclose(phase.abs(), torch.ones(()), atol=1e-5)


def test_a_centre_that_was_not_sampled() -> None:
    mask = torch.ones(1, SHAPE[1])
    mask[:, 18:22] = 0
    with pytest.raises(InputError, match="The centre of k-space is not sampled"):
        centre_image(torch.ones(1, 2, *SHAPE, dtype=torch.complex64), mask, torch.ones(1, 2, *SHAPE, dtype=torch.complex64))
