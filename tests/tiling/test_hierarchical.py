"""Hierarchical restoration: what the guide does, and against posteriors that are known exactly."""

import pytest
import torch
from helpers.fields import Field, Size, natural
from laws import close
from torch import Tensor

from medrestore.consistency import misfit
from medrestore.levels import karras
from medrestore.methods import DDNM, DDNMPlus
from medrestore.noise import Noise
from medrestore.operators import AveragePool, Grayscale, LinearOperator, Mask
from medrestore.problem import Problem
from medrestore.tiling import coarsen, hierarchical, mask_shift, nothing
from medrestore.tiling.hierarchical import coarser_by

WINDOW: Size = (8, 8)
SIZE: Size = (32, 32)
LADDER = karras(8, 10.0, 0.05)
PRIOR = Field(natural())


def surrounded(size: Size = SIZE, border: int = 4) -> Tensor:
    keep = torch.ones(size)
    keep[border:-border, border:-border] = 0
    return keep


def inpainting(size: Size = SIZE, border: int = 4, seed: int = 1) -> Problem:
    keep = surrounded(size, border)
    return Problem(Mask(keep), keep * PRIOR.draw(size, Noise([seed])((1, 1, *size))))


def means(z: Tensor, factor: int = 2) -> Tensor:
    return AveragePool(factor, (z.shape[-2], z.shape[-1]))(z)


def both(given: Problem, until: float, **more) -> tuple[Tensor, Tensor]:
    """The fine picture, and the coarse one that guided it."""
    common = dict(window=WINDOW, noise=Noise([0, 1]), **more)
    fine = hierarchical(given, PRIOR, DDNM(), LADDER, size=SIZE, factor=2, guide_until=until, **common)
    coarse = mask_shift(coarsen(given, 2), PRIOR, DDNM(), LADDER, size=(16, 16), **common)
    return fine, coarse


def test_the_means_are_those_of_the_coarse_picture() -> None:
    given = inpainting()
    fine, coarse = both(given, 0.0)
    close(means(fine), coarse, 1e-5)
    assert torch.equal((given.operator.keep * fine), given.y.expand_as(fine))
    free, _ = both(given, torch.inf)
    plain = mask_shift(given, PRIOR, DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise([0, 1]))
    off, kept = float((means(free) - coarse).norm()), float((means(both(given, 0.5)[0]) - coarse).norm())
    assert torch.equal(free, plain)
    assert kept < 0.6 * off


def test_data_win_over_the_guide() -> None:
    """Where a patch is known in part its mean follows from the data and the prior, and the data are exact."""
    keep = surrounded(border=5)
    given = Problem(Mask(keep), (keep * 3.0)[None, None])
    fine, coarse = both(given, 0.0)
    assert torch.equal(keep * fine, given.y.expand_as(fine))
    inner = (slice(None), slice(None), slice(3, 13), slice(3, 13))
    close(means(fine)[inner], coarse[inner], 1e-5)
    assert float((means(fine) - coarse).abs().max()) > 0.01


OTHERS: dict[str, LinearOperator] = {
    "super-resolution": AveragePool(8, SIZE),
    "colorization": Grayscale(),
    "old photo": Mask(surrounded((8, 8), 3)) @ Grayscale() @ AveragePool(4, SIZE),
}


@pytest.mark.parametrize("A", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("factor", [2, "auto"])
def test_every_local_operator_is_served(A: LinearOperator, factor) -> None:
    prior = Field(natural(), 3)
    given = Problem(A, A(prior.draw(SIZE, Noise([1])((1, 3, *SIZE)))))
    z = hierarchical(given, prior, DDNMPlus(), LADDER, size=SIZE, window=WINDOW, noise=Noise([0]), factor=factor)
    assert float(misfit(given, z).max()) < 1e-3 * float(given.y.norm())


@pytest.mark.parametrize("size", [(23, 17), (6, 31)])
def test_odd_and_small_pictures(size: Size) -> None:
    given = inpainting(size, 2)
    z = hierarchical(given, PRIOR, DDNM(), LADDER, size=size, window=WINDOW, noise=Noise([0]), factor=2, guide_until=0.0)
    assert z.shape == (1, 1, *size) and z.isfinite().all()
    assert torch.equal(given.operator.keep * z, given.y)


def test_auto_makes_coarser_until_holes_fit() -> None:
    def pictures(given: Problem, size: Size) -> int:
        started: list[int] = []
        hierarchical(given, PRIOR, DDNM(), [1.0, 0.0], size=size, window=WINDOW, noise=Noise([0]), batch=1000,
                     progress=lambda done, total: started.append(total))
        return len(set(started))

    assert coarser_by(inpainting((32, 32), 13), 1, (32, 32), WINDOW) == 1  # fits
    assert coarser_by(inpainting((32, 32), 4), 1, (32, 32), WINDOW) == 2
    assert coarser_by(inpainting((32, 32), 1), 1, (32, 32), WINDOW) == 1  # coarser, nothing would be known
    assert coarser_by(Problem(AveragePool(3, (24, 24)), torch.zeros(1, 1, 8, 8)), 1, (24, 24), WINDOW) == 3
    assert coarser_by(Problem(Mask(surrounded(border=13)), torch.zeros(1, 1, *SIZE), 0.1), 1, SIZE, WINDOW) == 1
    assert pictures(inpainting((32, 32), 13), (32, 32)) == 1
    assert pictures(nothing(1, (32, 32)), (32, 32)) == 3  # 8, 16, 32


def test_samples_do_not_depend_on_the_batch() -> None:
    given = inpainting()
    many, few = (hierarchical(given, PRIOR, DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise([3, 4]), batch=batch)
                 for batch in (100, 1))
    close(many, few, 1e-4)
    (alone,) = hierarchical(given, PRIOR, DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise([4]))
    close(alone, many[1], 1e-4)


def surprise(restore, measurements: int = 3, samples: int = 24) -> float:
    """Mean squared distance from the exact posterior's mean, in its stds, over its eight widest directions: 1 is exact."""
    C, keep = PRIOR.covariance(SIZE), surrounded().flatten() > 0
    gain = torch.linalg.solve(C[keep][:, keep] + 1e-6 * torch.eye(int(keep.sum())), C[keep][:, ~keep]).T
    values, vectors = torch.linalg.eigh(C[~keep][:, ~keep] - gain @ C[keep][:, ~keep])
    total = 0.0
    for seed in range(measurements):
        given = inpainting(seed=seed + 1)
        mean = gain @ given.y.flatten()[keep].double()
        z = restore(given, noise=Noise(range(samples))).flatten(1)[:, ~keep].double()
        total += float((((z - mean) @ vectors[:, -8:]) ** 2 / values[-8:]).mean())
    return total / measurements


@pytest.mark.slow
def test_holes_larger_than_a_window_come_closer_to_the_posterior() -> None:
    levels = karras(25, 20.0, 0.05)

    def by(tool, **more):
        return lambda given, noise: tool(given, PRIOR, DDNM(0.5), levels, size=SIZE, window=WINDOW, noise=noise, batch=200,
                                         **more)

    plain, guided, held = (surprise(by(mask_shift)), surprise(by(hierarchical, guide_until=1.0)),
                           surprise(by(hierarchical, guide_until=0.0)))
    assert guided < 0.85 * plain
    assert guided < held


def test_impossible_factors_are_refused() -> None:
    PRIOR.calls = 0
    for factor, words in ((0, "has no means over"), (40, "has no means over"), (3, "must be multiples of 3")):
        with pytest.raises(ValueError, match=words):
            hierarchical(inpainting(), PRIOR, DDNM(), LADDER, size=SIZE, window=WINDOW, noise=Noise([0]), factor=factor)
    assert PRIOR.calls == 0
