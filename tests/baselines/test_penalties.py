"""Differences, wavelets and shrinking against their definitions."""

import numpy as np
import pytest
import torch
from laws import white

from medrestore.baselines.penalties import Wavelets, soft_threshold, wrapped_adjoint, wrapped_differences


def test_the_adjoint_of_the_differences() -> None:
    x, d = white((1, 1, 5, 4), torch.complex64), white((2, 1, 1, 5, 4), torch.complex64, seed=1)
    assert torch.allclose(torch.vdot(wrapped_differences(x).flatten(), d.flatten()),
                          torch.vdot(x.flatten(), wrapped_adjoint(d).flatten()), atol=1e-5)
    assert float(wrapped_differences(torch.ones(1, 1, 3, 3)).abs().max()) == 0
    assert wrapped_differences(torch.arange(3.0).reshape(1, 1, 1, 3))[1].flatten().tolist() == [-2, 1, 1]


def test_shrinking() -> None:
    assert torch.allclose(soft_threshold(torch.tensor([3.0, -0.5, 0.0, -2.0]), 1.0), torch.tensor([2.0, 0.0, 0.0, -1.0]))
    assert torch.allclose(soft_threshold(torch.tensor([3 + 4j]), 1.0), torch.tensor([0.8 * (3 + 4j)]))


@pytest.mark.parametrize("size", [(24, 20), (25, 21), (24, 21)])
def test_wavelets_are_those_of_sigpy(size: tuple[int, int]) -> None:
    import sigpy

    image = white((1, 1, *size), torch.complex64)
    W = sigpy.linop.Wavelet(size)
    theirs = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(W.oshape, 0.7), W)(1.0, image[0, 0].numpy())
    ours = Wavelets("db4").shrunk(image, 0.7)
    assert ours.shape == image.shape
    assert np.abs(ours[0, 0].numpy() - theirs).max() < 1e-5
    assert (Wavelets("db4").shrunk(image, 0.0) - image).abs().max() < 1e-5
