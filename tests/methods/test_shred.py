"""SHRED through `restore`."""

import pytest
import torch
from helpers.priors import smooth, tiny_prior
from laws import close, white

import medrestore as mr
from medrestore.inversion import Trajectory, descend
from medrestore.levels import ddpm_strided, karras
from medrestore.methods import SHRED
from medrestore.noise import Noise
from medrestore.operators import Mask, Saturation

SIDE = 12
LEVELS = karras(4, 10.0, 0.05)
PRIOR = smooth(SIDE)
CODEC = mr.codecs.Interval(-1.0, 1.0)
KEEP = (torch.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 3 > 0).float()


def problem(sigma: float, seed: int = 1) -> mr.Problem:
    A = Mask(KEEP)
    return mr.Problem(A, A(PRIOR.sample(white((1, 1, SIDE, SIDE), seed=seed))), sigma)


def test_it_is_the_descent_on_the_misfit_of_the_data() -> None:
    one = problem(0.0)
    made = mr.restore(one, PRIOR, SHRED(lr=0.05, iterations=30, gradient="full"), codec=CODEC, levels=LEVELS, samples=2, seed=3)

    def judge(x):
        return (KEEP * x - one.y).square().flatten(1).sum(1) / KEEP.sum(), ()

    found = descend(Trajectory(PRIOR, LEVELS), Noise([3, 4])((2, 1, SIDE, SIDE)), judge, lr=0.05, iterations=30)
    close(made.samples, found.images, 1e-4)
    assert torch.equal(made.best, made.samples[int(made.misfit.argmin())])


def test_the_noise_of_the_data_ends_it() -> None:
    seen: list[int] = []
    made = mr.restore(problem(0.3), PRIOR, SHRED(lr=0.05, gradient="full"), codec=CODEC, levels=LEVELS,
                      on_step=lambda i, x: seen.append(i))
    assert 0.8 < float(made.misfit) <= 1.0 and len(seen) < 120
    seen.clear()
    mr.restore(problem(0.3), PRIOR, SHRED(lr=0.05, iterations=5, tolerance=0.0), codec=CODEC, levels=LEVELS,
               on_step=lambda i, x: seen.append(i))
    assert seen == [0, 1, 2, 3, 4]


def test_problems_side_by_side_are_those_alone() -> None:
    problems = [problem(0.3), problem(0.5, seed=2)]
    method = SHRED(lr=0.05, iterations=20)
    both = mr.restore_all(problems, PRIOR, method, codec=CODEC, levels=LEVELS, seeds=[1, 2])
    for one, seed, alone in zip(problems, (1, 2), both, strict=True):
        close(mr.restore(one, PRIOR, method, codec=CODEC, levels=LEVELS, seed=seed).samples, alone.samples, 1e-4)


@pytest.mark.parametrize("gradient", ["full", "shortcut"])
def test_operators_that_are_not_linear(gradient: str) -> None:
    """Pixels at the end of the range are free above it; the others come near the data."""
    truth = PRIOR.sample(white((1, 1, SIDE, SIDE), seed=6))
    A = Saturation(1.0, -1.0, 0.5)
    one = mr.Problem(A, A(truth), 0.0)
    first = mr.restore(one, PRIOR, SHRED(iterations=1), codec=CODEC, levels=LEVELS, size=(SIDE, SIDE))
    made = mr.restore(one, PRIOR, SHRED(lr=0.05, iterations=60, gradient=gradient), codec=CODEC, levels=LEVELS, size=(SIDE, SIDE))
    assert float(made.misfit) < 0.4 * float(first.misfit)


def test_by_default_it_takes_few_large_steps() -> None:
    made = mr.restore(problem(0.3), tiny_prior(), SHRED(iterations=1))
    assert len(made.levels) == 6
    assert len(mr.restore(problem(0.3), tiny_prior(), SHRED(iterations=1), steps=4).levels) == 5


def test_the_strided_levels_are_those_of_the_paper() -> None:
    levels = ddpm_strided(100)
    abar = [1 / (1 + sigma**2) for sigma in levels[:-1]]
    known = [0.00027024, None, 0.00686828, None, 0.07779666, None, 0.39401112, 0.65634701, 0.89514159, 0.9999]
    assert len(levels) == 11 and levels[-1] == 0
    assert all(a == pytest.approx(b, rel=1e-3) for a, b in zip(abar, known, strict=True) if b is not None)
    assert ddpm_strided(100, 40.0, 0.05)[0] == 40.0 and ddpm_strided(100, 40.0, 0.05)[-2] == 0.05
    with pytest.raises(ValueError, match="1 to 999"):
        ddpm_strided(0)


def test_it_takes_no_single_steps() -> None:
    with pytest.raises(TypeError, match="whole trajectories"):
        SHRED().step(torch.zeros(1, 1, 4, 4), 1.0, 0.5, problem=None, denoise=PRIOR, constrain=lambda x: x, noise=lambda: None)
