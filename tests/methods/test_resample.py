"""ReSample on codes of an autoencoder that is linear, where all is known."""

import pytest
import torch
from torch import Tensor

from medrestore.codecs import Codec
from medrestore.errors import InputError
from medrestore.methods import ReSample
from medrestore.noise import Noise
from medrestore.operators import AveragePool, Identity, OfCodes
from medrestore.priors.base import Prior
from medrestore.problem import Problem
from medrestore.sampling import sample


class Halves(Codec):
    """Images of 2 x 2 equal pixels, by one number each."""

    def encode(self, image: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(image, 2)

    def decode(self, z: Tensor) -> Tensor:
        return z.repeat_interleave(2, -1).repeat_interleave(2, -2)


class Normal(Prior):
    """Codes of std 1."""

    channels = 1

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return x / (1 + sigma**2)


def problem(sigma: float = 0.0) -> tuple[Problem, Tensor]:
    z = torch.randn(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    image, A = Halves().decode(z), AveragePool(2, (8, 8))
    return Problem(A, A(image), sigma).encoded(Halves()), z


def test_codes_of_linear_measurements_know_their_encoder() -> None:
    seen, _ = problem()
    assert isinstance(seen.operator, OfCodes) and seen.operator.kind == "AveragePool of what a decoder makes of codes"


def test_noise_free_data_are_met_where_the_autoencoder_can() -> None:
    seen, z = problem()
    made = sample(seen, Normal(), ReSample(), (10.0, 3.0, 1.0, 0.3, 0.0), noise=Noise((0, 1)), size=(4, 4))
    torch.testing.assert_close(made, z.expand(2, -1, -1, -1), rtol=0, atol=1e-5)


def test_the_next_code_is_drawn_from_the_product_of_both() -> None:
    """Equation 12 against its own numbers: mean and variance over many streams."""
    seen, _ = problem()
    method, x = ReSample(gamma=0.5), torch.full((1, 1, 4, 4), 2.0)
    sigma, level = 2.0, 1.2
    drawn = [method.step(x, sigma, level, problem=seen, denoise=Normal(), constrain=lambda z: z, noise=draw)
             for draw in (lambda: torch.zeros(1, 1, 4, 4), lambda: torch.ones(1, 1, 4, 4))]
    z0 = x / 5
    s, v = 0.5 * level**2 * (sigma**2 - level**2), level**2
    zy = method.consistent(z0, sigma, seen)
    mean = (s * zy + v * (z0 + level * (x - z0) / sigma)) / (s + v)
    torch.testing.assert_close(drawn[0], mean)
    torch.testing.assert_close(drawn[1] - drawn[0], torch.full_like(mean, (s * v / (s + v)) ** 0.5))


def test_noisy_data_are_trusted_as_their_noise_lets_them() -> None:
    seen, _ = problem(0.5)
    z0, method = torch.zeros(1, 1, 4, 4), ReSample()
    found = method.consistent(z0, 1.0, seen)
    gamma = 1 / 0.5**2  # and A A^T of pooling 2 x 2 pixels is 1 / 4
    torch.testing.assert_close(found, gamma / 4 / (1 + gamma / 4) * seen.y)


def test_pixels_are_refused() -> None:
    with pytest.raises(TypeError, match="ReSample needs a OfCodes"):
        sample(Problem(Identity(), torch.zeros(1, 1, 4, 4)), Normal(), ReSample(), (1.0, 0.0), noise=Noise((0,)), size=(4, 4))
    with pytest.raises(InputError, match="gamma"):
        ReSample(gamma=0.0)
