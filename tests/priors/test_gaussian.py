"""The Gaussian prior against dense linear algebra, and what it refuses."""

import pytest
import torch
from gaussian_posterior import power

from medrestore.errors import InputError
from medrestore.noise import Noise
from medrestore.priors import StationaryGaussian

SIDE = 8
PRIOR = StationaryGaussian(power(SIDE, SIDE).double(), mean=0.3)


def test_the_estimate_is_that_of_linear_algebra() -> None:
    """mean + C (C + sigma^2 I)^-1 (x - mean), with C the covariance of all pixels."""
    columns = torch.eye(SIDE * SIDE, dtype=torch.float64).reshape(-1, 1, SIDE, SIDE)
    root = (PRIOR.sample(columns) - PRIOR.mean).reshape(SIDE * SIDE, -1)
    covariance = root @ root.T
    x = Noise([0])((1, 1, SIDE, SIDE)).double()
    sigma = 0.7
    want = 0.3 + (x - 0.3).reshape(1, -1) @ torch.linalg.solve(covariance + sigma**2 * torch.eye(SIDE * SIDE), covariance)
    torch.testing.assert_close(PRIOR(x, sigma).reshape(1, -1), want)


def test_samples_have_the_spectrum() -> None:
    x = PRIOR.sample(Noise(range(400))((400, 1, SIDE, SIDE)).double())
    got = torch.fft.fft2(x - PRIOR.mean, norm="ortho").abs().square().mean((0, 1))
    assert float((got / PRIOR.power).log().abs().mean()) < 0.1


def test_its_size_is_that_of_the_spectrum_and_its_repr_a_line() -> None:
    assert StationaryGaussian(torch.ones(4, 6)).size == (4, 6)
    assert "\n" not in repr(PRIOR) and len(repr(PRIOR)) < 120 and repr(PRIOR).startswith("StationaryGaussian(power=")


@pytest.mark.parametrize(("spectrum", "message"), [
    (torch.ones(1, 4, 4), r"power must be of \(height, width\), and its shape is \(1, 4, 4\)"),
    (torch.ones(4, 4) - 2, "some of them are negative"),
    (torch.full((4, 4), torch.nan), "not numbers"),
    (torch.arange(1.0, 17.0).reshape(4, 4), "not even under negation"),
])
def test_what_is_no_spectrum_is_refused(spectrum: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        StationaryGaussian(spectrum)
