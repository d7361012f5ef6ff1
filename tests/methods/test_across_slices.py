"""Volumes by a prior of slices: the data step is the minimum that it says, and its memory is carried on."""

import pytest
import torch
from laws import close, white
from torch import Tensor

from medrestore.consistency import prox
from medrestore.methods import DDS, HQS
from medrestore.methods.across_slices import AcrossSlices, Memory, differences, differences_adjoint, shrunk
from medrestore.operators import Mask
from medrestore.priors import StationaryGaussian
from medrestore.problem import Problem, stack

SHAPE = (5, 2, 8, 8)


def volume(sigma: float = 0.1) -> Problem:
    """Slices of which other pixels were measured each."""
    problems = []
    for i in range(SHAPE[0]):
        mask = (torch.rand(8, 8, generator=torch.Generator().manual_seed(i)) < 0.5).float()
        problems.append(Problem(Mask(mask), mask * white((1, *SHAPE[1:]), seed=i), sigma))
    return stack(problems)


@pytest.mark.parametrize("order", [1, 2])
def test_differences_and_their_adjoint(order: int) -> None:
    x, d = white(SHAPE), white((SHAPE[0] - order, *SHAPE[1:]), seed=1)
    assert float((differences(x, order) * d).sum()) == pytest.approx(float((x * differences_adjoint(d, order)).sum()), rel=1e-4)
    steady = torch.arange(5.0)[:, None, None, None].expand(SHAPE)
    assert not differences(torch.ones(SHAPE), order).any() and bool(differences(steady, order).any()) == (order == 1)


def test_two_slices_have_first_differences_alone() -> None:
    problem = stack([Problem(Mask(torch.ones(8, 8)), white((1, *SHAPE[1:]), seed=i), 0.1) for i in range(2)])
    x0 = white((2, *SHAPE[1:]), seed=3)
    found, split = AcrossSlices(HQS(), weight=100.0).data_step(problem, x0, 0.5, None)
    assert split.z.shape == (1, *SHAPE[1:])
    assert float((found[1] - found[0]).abs().mean()) < float((x0[1] - x0[0]).abs().mean())


def test_shrinking_is_by_the_magnitude_over_the_channels() -> None:
    d = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    close(shrunk(d, 1.0).flatten(), torch.tensor([2.4, 3.2]), 1e-6)
    assert not shrunk(d, 6.0).any()


@pytest.mark.parametrize("order", [1, 2])
def test_the_data_step_is_the_minimum_of_its_objective(order: int) -> None:
    problem, x0, sigma, weight = volume(), white(SHAPE, seed=7), 0.5, 1.0
    method = AcrossSlices(HQS(lam=1.0), weight=weight, iterations=300, differences=order)
    x, _ = method.data_step(problem, x0, sigma, None)
    gamma = sigma**2 / 0.1**2

    def objective(v: Tensor) -> float:
        size = torch.linalg.vector_norm(differences(v, order), dim=1).sum()
        misfit = (problem.operator(v) - problem.y).square().sum()
        return float((v - x0).square().sum() / 2 + gamma * misfit / 2 + weight * sigma**2 * size)

    for seed in range(5):
        for step in (0.3, 0.03):
            assert objective(x) < objective(x + step * white(SHAPE, seed=20 + seed))
    assert objective(x) < objective(prox(problem, x0, gamma))


def test_without_weight_it_is_the_proximal_step() -> None:
    problem, x0 = volume(), white(SHAPE, seed=7)
    x, _ = AcrossSlices(HQS(lam=1.0), weight=1e-9, iterations=100).data_step(problem, x0, 0.5, None)
    close(x, prox(problem, x0, 25.0), 2e-2)


@pytest.mark.parametrize("method", [DDS(), HQS()])
def test_split_and_dual_variable_are_carried_from_level_to_level(method: DDS | HQS) -> None:
    problem, prior = volume(), StationaryGaussian(torch.ones(8, 8), channels=2)
    across = AcrossSlices(method, weight=2.0)

    def advanced(memory: object) -> tuple[Tensor, object]:
        return across.advance(white(SHAPE), 1.0, 0.5, memory, problem=problem, denoise=prior, constrain=lambda x: x,
                              noise=lambda: torch.zeros(SHAPE))

    x, memory = advanced(None)
    again, _ = advanced(memory)
    assert x.shape == SHAPE and not torch.equal(x, again)
    smooth = differences(x, 2).square().mean() < differences(
        method.step(white(SHAPE), 1.0, 0.5, problem=problem, denoise=prior, constrain=lambda x: x,
                    noise=lambda: torch.zeros(SHAPE)), 2).square().mean()
    assert smooth


def test_methods_that_do_not_go_across_slices() -> None:
    with pytest.raises(ValueError, match="without a fixed gamma"):
        AcrossSlices(DDS(gamma=5.0))


@pytest.mark.parametrize(("method", "second"), [(DDS(), DDS(order=2)), (HQS(), HQS(order=2))])
def test_of_order_two_the_estimate_is_extrapolated_from_the_one_before(method: DDS | HQS, second: DDS | HQS) -> None:
    problem, prior = volume(), StationaryGaussian(torch.ones(8, 8), channels=2)

    def advanced(one: DDS | HQS, x: Tensor, sigma: float, sigma_next: float, memory: Memory | None) -> tuple[Tensor, Memory]:
        return AcrossSlices(one, weight=2.0).advance(x, sigma, sigma_next, memory, problem=problem, denoise=prior,
                                                     constrain=lambda x: x, noise=lambda: torch.zeros(SHAPE))

    x, memory = advanced(second, white(SHAPE), 1.0, 0.5, None)
    assert torch.equal(x, advanced(method, white(SHAPE), 1.0, 0.5, None)[0])  # there is none before
    first, _ = advanced(method, x, 0.5, 0.25, memory)
    close(advanced(second, x, 0.5, 0.25, memory)[0], 1.5 * first - 0.5 * memory.before[0], 1e-5)
    assert torch.equal(advanced(second, x, 0.5, 0.0, memory)[0], advanced(method, x, 0.5, 0.0, memory)[0])
