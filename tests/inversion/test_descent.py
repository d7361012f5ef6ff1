"""Alg. 1 against the optimum on the sphere, which a Gaussian prior gives in closed form."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from helpers.priors import smooth
from laws import close, white
from torch import Tensor

from medrestore.errors import InputError
from medrestore.inversion import Trajectory, descend, on_sphere
from medrestore.levels import karras
from medrestore.noise import Noise

SIDE = 6
LEVELS = karras(4, 10.0, 0.05)
PRIOR = smooth(SIDE)
KEEP = (torch.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 3 > 0).float()


def gain() -> Tensor:
    """The trajectory as a matrix (D, D)."""
    factor = torch.full((SIDE, SIDE), LEVELS[0], dtype=torch.float64)
    for sigma, sigma_next in pairwise(LEVELS):
        kept = PRIOR.power.double() / (PRIOR.power.double() + sigma**2)
        factor = factor * (kept + sigma_next / sigma * (1 - kept))
    unit = torch.eye(SIDE * SIDE, dtype=torch.float64).reshape(-1, SIDE, SIDE)
    return torch.fft.ifft2(factor * torch.fft.fft2(unit)).real.flatten(1).T


def optimum(y: Tensor) -> tuple[Tensor, float]:
    """argmin over |n| = sqrt(D) of |A G n - y|^2, and the loss there: (Mt M + mu I) n = Mt y, mu by the secular equation."""
    M = KEEP.double().flatten()[:, None] * gain()
    values, vectors = torch.linalg.eigh(M.T @ M)
    c = vectors.T @ (M.T @ y.double().flatten())
    low, high = -float(values[0]) + 1e-12, 1e6
    for _ in range(200):
        mu = (low + high) / 2
        if float((c / (values + mu)).square().sum()) > SIDE**2:
            low = mu
        else:
            high = mu
    n = vectors @ (c / (values + mu))
    return n.reshape(1, 1, SIDE, SIDE), float((M @ n - y.double().flatten()).square().mean())


def measured(seed: int = 3) -> Tensor:
    return KEEP * (1.5 * PRIOR.sample(white((1, 1, SIDE, SIDE), seed=seed)) + 0.3 * white((1, 1, SIDE, SIDE), seed=seed + 1))


def judge_of(y: Tensor):
    def judge(x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return (KEEP * x - y).square().flatten(1).mean(1), (x[:, :, 0, 0],)
    return judge


def test_the_optimum_over_the_noise_is_reached() -> None:
    y = measured()
    n, loss = optimum(y)
    found = descend(Trajectory(PRIOR, LEVELS), Noise([0, 1])((2, 1, SIDE, SIDE)), judge_of(y), lr=0.03, iterations=500)
    assert found.losses.tolist() == pytest.approx([loss] * 2, rel=1e-3)
    expected = (gain() @ n.flatten()).reshape(SIDE, SIDE).float()
    for image, kept in zip(found.images, found.kept[0], strict=True):
        close(KEEP * image[0], KEEP * expected, 1e-3)
        assert kept == image[:, 0, 0]


def test_samples_are_apart_and_the_best_is_kept() -> None:
    y = measured(7)
    noise = Noise([0, 1])((2, 1, SIDE, SIDE))
    both = descend(Trajectory(PRIOR, LEVELS), noise, judge_of(y), lr=0.3, iterations=20)
    for k in range(2):
        alone = descend(Trajectory(PRIOR, LEVELS), noise[k : k + 1], judge_of(y), lr=0.3, iterations=20)
        close(alone.images, both.images[k : k + 1], 1e-5)
    assert both.history.shape == (20, 2)
    close(both.losses, both.history.amin(0))
    close(judge_of(y)(both.images)[0], both.losses)


def test_it_ends_where_the_loss_is_low_enough() -> None:
    y = measured(9)
    seen: list[int] = []
    first = descend(Trajectory(PRIOR, LEVELS), Noise([0, 1])((2, 1, SIDE, SIDE)), judge_of(y), lr=0.05, iterations=100)
    enough = float(first.history[:40].amin(0).max())
    found = descend(Trajectory(PRIOR, LEVELS), Noise([0, 1])((2, 1, SIDE, SIDE)), judge_of(y), lr=0.05, iterations=100,
                    enough=enough, on_step=lambda i, x: seen.append(i))
    assert len(found.history) <= 40 and seen == list(range(len(found.history)))
    reached = (found.history <= enough).float().argmax(0)  # the first iteration that is good enough is the one returned
    close(found.losses, found.history[reached, torch.arange(2)])


def test_other_parameters_are_optimised_too() -> None:
    y = measured(11)
    offset = torch.zeros(1, requires_grad=True)

    def judge(x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return (KEEP * (x + offset) - y).square().flatten(1).mean(1), (offset.expand(1, 1),)

    start = on_sphere(Noise([0])((1, 1, SIDE, SIDE)))
    found = descend(Trajectory(PRIOR, LEVELS), start, judge, lr=0.02, iterations=50, others=[{"params": [offset], "lr": 0.05}])
    assert float(found.kept[0]) != 0
    alone = descend(Trajectory(PRIOR, LEVELS), start, judge_of(y), lr=0.02, iterations=50)
    assert float(found.losses) < float(alone.losses)


@dataclass(frozen=True)
class Detached:
    def __call__(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        return x.detach().square().flatten(1).mean(1), ()


def test_what_cannot_be_followed_is_refused() -> None:
    noise = Noise([0])((1, 1, SIDE, SIDE))
    with pytest.raises(InputError, match="no gradient"):
        descend(Trajectory(PRIOR, LEVELS), noise, Detached(), lr=0.1, iterations=2)
    with pytest.raises(InputError, match="not finite"):
        descend(Trajectory(PRIOR, LEVELS), noise, lambda x: (torch.inf * x.square().flatten(1).sum(1), ()), lr=0.1, iterations=2)
