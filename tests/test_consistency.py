"""Proximal steps for what is not linear; and what least squares leaves unexplained: the noise when the model holds, else more."""

import math
from dataclasses import replace

import pytest
import torch
from laws import white

from medrestore.consistency import misfit, prox, unexplained
from medrestore.mri import sampling_mask, simulate_scan, simulated_maps
from medrestore.operators import (
    Identity,
    LinearOperator,
    Mask,
    Operator,
    PhaseRetrieval,
    Saturation,
    Sense,
    gaussian_blur,
)
from medrestore.problem import Problem

SHAPE, SIGMA = (40, 36), 0.05


def scan(coils: int, kind: str, accel: float) -> tuple[Sense, torch.Tensor]:
    generator = torch.Generator().manual_seed(coils)
    maps = simulated_maps(coils, SHAPE, generator=generator)
    maps[..., :6] = 0  # no object there
    mask = sampling_mask(kind, SHAPE, accel, acs=10, seed=1).mask
    image = torch.randn(1, 1, *SHAPE, dtype=torch.complex64, generator=generator)
    return Sense(maps, mask), simulate_scan(image, maps, mask, noise_std=SIGMA, generator=generator)


@pytest.mark.parametrize("kind", ["uniform1d", "gaussian2d"])
def test_it_is_the_noise_when_the_model_holds(kind: str) -> None:
    sense, y = scan(8, kind, 2)
    assert unexplained(Problem(sense, y)) == pytest.approx(SIGMA, rel=0.05)
    if sense.one_axis:
        assert unexplained(Problem(sense.spectral(), y)) == pytest.approx(SIGMA, rel=0.04)


def test_it_grows_when_the_coil_maps_are_wrong() -> None:
    sense, y = scan(8, "uniform1d", 2)
    wrong = replace(sense, maps=sense.maps.flip(1))
    assert unexplained(Problem(wrong.spectral(), y)) > 3 * SIGMA


def test_without_data_in_excess_it_says_nothing() -> None:
    sense, y = scan(2, "uniform1d", 3)
    assert unexplained(Problem(sense.spectral(), y)) < 1.1 * SIGMA  # the few numbers that no image reaches
    keep = torch.ones(*SHAPE)
    assert unexplained(Problem(Mask(keep), torch.randn(1, 1, *SHAPE, generator=torch.Generator().manual_seed(0)))) == 0
    assert unexplained(Problem(Identity(), torch.ones(1, 1, *SHAPE))) == 0


class Hidden(Operator):
    """A linear operator that says no more of itself than that it has a gradient."""

    def __init__(self, inner: LinearOperator) -> None:
        self.inner = inner

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


@pytest.mark.parametrize("gamma", [3.0, math.inf, torch.tensor([0.5, 40.0]).reshape(2, 1, 1, 1)], ids=["one", "infinite", "each"])
def test_what_is_known_by_its_gradient_alone_has_the_same_proximal_step(gamma: float | torch.Tensor) -> None:
    A = gaussian_blur((12, 10), 1.0)
    x, y = white((2, 1, 12, 10)), A(white((3, 1, 12, 10)))[2:]
    expected = prox(Problem(A, y), x, gamma)
    made = prox(Problem(Hidden(A), y), x, gamma, rtol=1e-6)
    if isinstance(gamma, float) and math.isinf(gamma):  # whatever a blur leaves out is reached slowly
        assert float((A(made) - y).norm()) < 0.2 * float((A(x) - y).norm())
    else:
        torch.testing.assert_close(made, expected, rtol=1e-2, atol=1e-2)


def test_a_saturated_image_is_moved_where_the_data_say_so_and_nowhere_else() -> None:
    """|z - x|^2 + gamma |min(max(2 z, 0), 1) - y|^2 pixel by pixel: within the ends (x + 2 gamma y) / (1 + 4 gamma)."""
    x = torch.tensor([[[[0.1, 0.3, 0.9, 0.2, -0.4]]]])
    y = torch.tensor([[[[0.2, 0.4, 1.0, 1.0, 0.0]]]])
    moved = prox(Problem(Saturation(2.0), y), x, 5.0, rtol=1e-6)
    inside = (x + 10 * y) / 21
    expected = torch.stack([inside[..., 0], inside[..., 1], x[..., 2], inside[..., 3], x[..., 4]], -1)
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-3)


def test_a_proximal_step_never_ends_worse_than_it_began() -> None:
    """Each sample on its own: moduli of a Fourier transform, from six images."""
    A, x = PhaseRetrieval(), white((6, 1, 8, 8))
    y = A(white((7, 1, 8, 8))[6:])
    problem = Problem(A, y)
    made = prox(problem, x, 20.0)
    assert bool((20 * misfit(problem, made) ** 2 + (made - x).square().sum((1, 2, 3)) < 20 * misfit(problem, x) ** 2).all())
    torch.testing.assert_close(made[2:3], prox(problem, x[2:3], 20.0), rtol=1e-3, atol=1e-3)
