"""The noise of a scan by distance from the centre of k-space: flat where the maps are right, larger in the centre where not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from medrestore.consistency import prox
from medrestore.mri import sampling_mask, simulate_scan, simulated_maps
from medrestore.operators import Sense
from medrestore.problem import Problem
from medrestore.recon import noise_model
from medrestore.recon.noise_model import RINGS, noise_profile

SHAPE, SIGMA = (64, 60), 0.02
KINDS = ("uniform1d", "gaussian2d")


def head() -> Tensor:
    """A bright smooth ellipse with a fine pattern, (1, 1, h, w) complex."""
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    inside = ((y / 0.8) ** 2 + (x / 0.7) ** 2 < 1).float()
    return (inside * (1 + 0.1 * torch.cos(40 * x) * torch.cos(33 * y))).to(torch.complex64)[None, None]


def scan(kind: str, *, wrong: float = 0.0, seed: int = 0) -> Problem[Sense]:
    """Eight coils at 2x; the maps of the problem are those of the scan but for smooth errors of the given size."""
    generator = torch.Generator().manual_seed(seed)
    maps = simulated_maps(8, SHAPE, generator=generator) * (head().abs() > 0)
    mask = sampling_mask(kind, SHAPE, 2, acs=12, seed=seed).mask
    y = simulate_scan(head(), maps, mask, noise_std=SIGMA, generator=generator)
    other = simulated_maps(8, SHAPE, generator=generator) * (head().abs() > 0)
    return Problem(Sense((1 - wrong) * maps + wrong * other, mask), y, SIGMA)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_white_noise_and_true_maps_have_no_profile(kind: str, seed: int) -> None:
    assert noise_profile(scan(kind, seed=seed)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_maps_are_distrusted_where_the_signal_is(kind: str) -> None:
    profile = noise_profile(scan(kind, wrong=0.2))
    assert profile is not None and profile.sigma < 3 * SIGMA and profile.largest > 3 * profile.sigma
    middle = profile.weights[profile.weights.shape[0] // 2]
    sampled = middle[middle > 0]
    assert float(middle[SHAPE[1] // 2]) < 0.4 * float(torch.maximum(sampled[0], sampled[-1]))


def loud(kind: str, seed: int = 0) -> tuple[Problem[Sense], Tensor]:
    """True maps, and noise that is louder in the centre of k-space, with the std of every sample."""
    problem = scan(kind, seed=seed)
    axes = [(torch.arange(n) - n // 2) / (n / 2) for n in SHAPE]
    radius = torch.hypot(axes[0][:, None], axes[1])
    std = SIGMA * (1 + 4 * torch.exp(-((radius / 0.4) ** 2)))
    further = torch.randn(problem.y.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed + 9)) * 2**0.5
    return replace(problem, y=problem.y + (problem.operator.mask > 0) * (std**2 - SIGMA**2).sqrt() * further), std


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_are_those_of_the_noise(kind: str) -> None:
    problem, std = loud(kind)
    mask = problem.operator.mask.expand(SHAPE)
    profile = noise_profile(problem)
    assert profile is not None and profile.weights.shape == mask.shape and float(profile.weights.max()) == pytest.approx(1)
    assert bool(((profile.weights > 0) == (mask > 0)).all())
    torch.testing.assert_close((profile.sigma / profile.weights)[mask > 0], std[mask > 0], rtol=0.35, atol=0)
    assert profile.largest == pytest.approx(float((profile.sigma / profile.weights)[mask > 0].max()), rel=1e-5)


def test_along_an_axis_a_line_has_the_mean_of_its_samples() -> None:
    problem, std = loud("uniform1d")
    mask = problem.operator.mask
    profile = noise_profile(problem, along_axis=True)
    assert profile is not None and profile.weights.shape == mask.shape
    expected = std.square().mean(0, keepdim=True).sqrt()[mask > 0]
    torch.testing.assert_close((profile.sigma / profile.weights)[mask > 0], expected, rtol=0.35, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_never_below_thermal_noise(kind: str) -> None:
    problem, _ = loud(kind)
    profile = noise_profile(replace(problem, sigma=2 * SIGMA))
    assert profile is not None and profile.sigma == pytest.approx(2 * SIGMA, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_weighted_data_bring_the_image_nearer(kind: str, seed: int) -> None:
    """Least squares with each sample's own weight against that with one: Gauss and Markov. The noise is then white."""
    problem, _ = loud(kind, seed)
    profile = noise_profile(problem)
    assert profile is not None
    weighted = Problem(replace(problem.operator, mask=profile.weights), profile.weights * problem.y, profile.sigma)

    def off(problem: Problem[Sense]) -> float:
        image = prox(problem, torch.zeros_like(problem.back_projected), 1e4, rtol=1e-4)
        return float((image - head()).norm() / head().norm())

    assert off(weighted) < off(problem)
    again = noise_profile(weighted)
    assert again is None or again.largest < 1.5 * again.sigma


def test_without_data_in_excess_it_says_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = simulated_maps(2, SHAPE, generator=generator)
    mask = sampling_mask("uniform1d", SHAPE, 6, acs=4, seed=0).mask
    y = simulate_scan(head(), maps.flip(1), mask, noise_std=SIGMA, generator=generator)
    assert noise_profile(Problem(Sense(maps, mask), y, SIGMA)) is None


def test_rings_of_few_degrees_of_freedom_are_taken_together() -> None:
    white = np.array([3.0, 5.0, 20.0, 100.0, 100.0, 30.0, 30.0, 30.0, 100.0, 100.0, 100.0, 40.0])
    variance = np.arange(1.0, RINGS + 1)
    left, freedom = noise_model._pooled(white, variance * white, white)
    result = left / freedom
    assert len(set(result[:4].round(6))) == 1  # the centre, with the ring around it that has enough
    assert result[4] == pytest.approx(5) and len(set(result[5:8].round(6))) == 1
    assert result[10] == result[11] != result[9]
