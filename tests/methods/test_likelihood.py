"""The likelihood step is a sample of the Gaussian that linear algebra gives."""

import pytest
import torch
from helpers.steps import NOISE, PINV, X0, A, D, Rotated, Y, by_functions, close, flat, image
from torch import Tensor

from medrestore.methods.likelihood import given_data
from medrestore.operators import Identity, LinearOperator
from medrestore.problem import Problem


def sampled(operator: LinearOperator, sigma: float | Tensor, std: float, noises: list[Tensor], y: Tensor = Y) -> Tensor:
    drawn = iter(noises)
    return flat(given_data(Problem(operator, y, sigma), X0.expand(len(noises[0]), -1, -1, -1), std,
                           noise=lambda: next(drawn), rtol=1e-10))


@pytest.mark.parametrize("operator", [Rotated(), by_functions()], ids=["spectral", "linear"])
@pytest.mark.parametrize("std", [0.05, 1.5])
def test_mean_and_covariance(operator: LinearOperator, std: float) -> None:
    """As a function of the noise it is mean + L n, and L L^T is the covariance."""
    sigma, silent = 0.2, torch.zeros(2, 1, 4, 4).double()
    precision = torch.eye(D) / std**2 + A.T @ A / sigma**2
    mean = sampled(operator, sigma, std, [silent, silent])
    close(mean, torch.linalg.solve(precision, flat(X0) / std**2 + Y @ A / sigma**2, left=False))
    unit, none = image(torch.eye(D).double()), torch.zeros(D, 1, 4, 4).double()
    x0, y = X0[:1].expand(D, -1, -1, -1), Y[:1].expand(D, -1)
    columns = []
    for noises in ((unit, none), (none, unit)):
        drawn = iter(noises)
        moved = given_data(Problem(operator, y, sigma), x0, std, noise=lambda drawn=drawn: next(drawn), rtol=1e-10)
        columns.append(flat(moved) - mean[:1])
    L = torch.cat(columns).T
    torch.testing.assert_close(L @ L.T, torch.linalg.inv(precision), rtol=1e-4, atol=1e-6)


def test_data_without_noise_are_met() -> None:
    x = sampled(Rotated(), 0.0, 0.7, [NOISE, NOISE])
    close(x @ A.T, Y)
    nearest = flat(X0) - (flat(X0) @ A.T - Y) @ PINV.T
    close(sampled(Rotated(), 0.0, 0.0, [NOISE, NOISE]), nearest)
    close(sampled(Rotated(), 0.2, 0.0, [NOISE, NOISE]), flat(X0))


@pytest.mark.parametrize("std", [0.0, 0.7])
def test_a_batch_of_which_some_have_noise(std: float) -> None:
    sigmas = torch.tensor([0.0, 0.2]).double().reshape(2, 1, 1, 1)
    y = image(flat(X0) + 0.1)
    joint = sampled(Identity(), sigmas, std, [NOISE, NOISE], y)
    for k, sigma in enumerate((0.0, 0.2)):
        close(joint[k], sampled(Identity(), sigma, std, [NOISE, NOISE], y)[k])


def test_complex_data_have_the_noise_of_both_parts() -> None:
    """Of as many draws shaped like x as it takes."""
    drawn: list[int] = []
    y = torch.zeros(1, 3, 40, 40, dtype=torch.complex64)

    def noise() -> Tensor:
        drawn.append(len(drawn))
        return torch.randn(1, 2, 40, 40, generator=torch.Generator().manual_seed(len(drawn)))

    class ThreeCoils(LinearOperator):
        def __call__(self, x: Tensor) -> Tensor:
            return torch.complex(x[:, :1], x[:, 1:]).expand(-1, 3, -1, -1)

        def adjoint(self, y: Tensor) -> Tensor:
            return torch.cat([y.sum(1, keepdim=True).real, y.sum(1, keepdim=True).imag], 1)

    x = given_data(Problem(ThreeCoils(), y, 0.3), torch.zeros(1, 2, 40, 40), 0.5, noise=noise, rtol=1e-6)
    want = (1 / 0.5**2 + 3 / 0.3**2) ** -0.5
    assert len(drawn) == 4 and float(x.std()) == pytest.approx(want, rel=0.05)
    assert float((x[:, 0] * x[:, 1]).mean()) == pytest.approx(0, abs=0.1 * want**2)
