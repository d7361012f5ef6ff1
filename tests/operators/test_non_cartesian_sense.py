"""The encoding along a trajectory: against the mask, a dense matrix and the stack of single ones; its data step."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, dense_fourier, full, pixels, spokes
from helpers.pretend_device import pretending
from laws import close, white
from torch import Tensor

from medrestore.consistency import prox
from medrestore.operators import NonCartesianSense, Sense, stack
from medrestore.problem import Problem
from medrestore.problem import stack as stack_problems
from medrestore.solvers import cg


def as_points(mask: Tensor) -> tuple[Tensor, Tensor]:
    """A trajectory (row, column, 2) of all points of the grid, and its weights: those of the mask."""
    height, width = mask.shape
    rows, columns = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    return torch.stack([rows, columns], -1).float(), mask


@pytest.mark.parametrize("size", [(12, 10), (11, 9), (32, 32)])
def test_the_points_of_a_mask_are_the_mask(size: tuple[int, int]) -> None:
    maps, mask, x = coil_maps(*size), pixels(*size), white((2, 1, *size), COMPLEX)
    S, A = Sense(maps, mask), NonCartesianSense(maps, *as_points(mask))
    close(A(x), S(x), 1e-5)
    y = white((2, 4, *size), COMPLEX, seed=1)
    close(A.adjoint(y), S.adjoint(y), 1e-5)
    close(A.normal(x), S.normal(x), 1e-5)
    gamma = torch.tensor([3.0, 30.0]).reshape(2, 1, 1, 1)
    ours, theirs = A.preconditioner(gamma), S.preconditioner(gamma)
    assert ours is not None and theirs is not None
    problems = Problem(A, S(x), 0.1), Problem(S, S(x), 0.1)
    close(prox(problems[0], x, 30.0, rtol=1e-5), prox(problems[1], x, 30.0, rtol=1e-5), 1e-3)


@pytest.mark.parametrize("size", [(32, 32), (7, 10)])
@pytest.mark.parametrize("gamma", [0.5, 100.0])
def test_against_a_dense_matrix(size: tuple[int, int], gamma: float) -> None:
    maps, trajectory, weights = coil_maps(*size, coils=2), spokes(9, 12), pixels(9, 12) * 0.7
    A, x = NonCartesianSense(maps, trajectory, weights), white((1, 1, *size), COMPLEX)
    F = weights.flatten()[:, None] * dense_fourier(trajectory.flatten(0, 1), *size)
    E = torch.cat([F * one.flatten() for one in maps[0].to(F)])
    close(A(x).flatten(), (E @ x.flatten().to(E)).to(COMPLEX), 1e-5)
    y = A(x) + 0.1 * weights * white((1, 2, 9, 12), COMPLEX, seed=2)
    right = x.flatten().to(E) + gamma * E.mH @ y.flatten().to(E)
    solved = torch.linalg.solve(torch.eye(len(right)) + gamma * E.mH @ E, right)
    close(prox(Problem(A, y), x, gamma, rtol=1e-6), solved.reshape(x.shape).to(COMPLEX), 1e-4)


def test_slices_along_one_trajectory_are_one_operator() -> None:
    maps = [coil_maps(9, 8), coil_maps(9, 8).roll(3, 1), 2j * coil_maps(9, 8)]
    each = [NonCartesianSense(one, spokes(4, 10), full(spokes(4, 10))) for one in maps]
    together = stack(each)
    assert isinstance(together, NonCartesianSense) and together.maps.shape == (3, 4, 9, 8)
    x = white((3, 1, 9, 8), COMPLEX)
    apart = torch.cat([A.normal(x[k : k + 1]) for k, A in enumerate(each)])
    close(together.normal(x), apart, 1e-5)
    close(together(x), torch.cat([A(x[k : k + 1]) for k, A in enumerate(each)]), 1e-6)
    M, single = together.preconditioner(20.0), each[2].preconditioner(20.0)
    assert M is not None and single is not None
    close(M(x)[2:], single(x[2:]), 1e-5)


@pytest.mark.parametrize("other", [
    NonCartesianSense(coil_maps(9, 8), 2 * spokes(4, 10), full(spokes(4, 10))),
    NonCartesianSense(coil_maps(9, 8), spokes(4, 10), pixels(4, 10)),
    NonCartesianSense(coil_maps(9, 8), spokes(5, 10)[1:], full(spokes(5, 10)[1:])),
])
def test_slices_along_others_are_stacked_one_by_one(other: NonCartesianSense) -> None:
    first = NonCartesianSense(coil_maps(9, 8), spokes(4, 10), full(spokes(4, 10)))
    together = stack([first, other])
    assert not isinstance(together, NonCartesianSense)
    x = white((2, 1, 9, 8), COMPLEX)
    close(together(x)[1:], other(x[1:]), 1e-6)
    problems = [Problem(first, first(x[:1]), 0.1), Problem(other, other(x[1:]), 0.2)]
    joint = prox(stack_problems(problems), x, 10.0, rtol=1e-5)
    close(joint[1:], prox(problems[1], x[1:], 10.0, rtol=1e-5), 1e-4)


def test_samples_of_weight_zero_are_not_measured() -> None:
    A = NonCartesianSense(coil_maps(9, 8), spokes(4, 10), pixels(4, 10))
    problem = Problem(A, A(white((1, 1, 9, 8), COMPLEX)))
    assert int(problem.count) == 2 * 4 * int(pixels(4, 10).sum())


def test_the_preconditioner_saves_steps() -> None:
    """Of a radial trajectory, whose centre is sampled far more densely than its edge."""
    maps, trajectory = coil_maps(32, 32), spokes(14, 32)
    A, x = NonCartesianSense(maps, trajectory, full(trajectory)), white((1, 1, 32, 32), COMPLEX)
    b, gamma = A.normal(A.support * x), 1e3
    steps = []
    for M in (None, A.preconditioner(gamma)):
        calls = [0]

        def system(z: Tensor, calls: list[int] = calls) -> Tensor:
            calls[0] += 1
            return z / gamma + A.normal(z)

        cg(system, b, max_steps=300, rtol=1e-2, precondition=M)
        steps.append(calls[0])
    assert steps[1] < 0.7 * steps[0]


def test_no_coil_sees_anything() -> None:
    A = NonCartesianSense(torch.zeros(1, 2, 8, 8, dtype=COMPLEX), spokes(4, 10), full(spokes(4, 10)))
    assert not A.normal(white((1, 1, 8, 8), COMPLEX)).any()


def test_on_a_device() -> None:
    maps, trajectory, x = coil_maps(9, 8), spokes(4, 10), white((2, 1, 9, 8), COMPLEX)
    A = NonCartesianSense(maps, trajectory, full(trajectory))
    expected = prox(Problem(A, A(x)), 0 * x, 30.0)
    with pretending() as device:
        there = NonCartesianSense(maps.to(device), trajectory.to(device), full(trajectory).to(device))
        y = there(x.to(device))
        assert y.device == device
        solved = prox(Problem(there, y), 0 * x.to(device), 30.0)
        assert solved.device == device
        close(solved.cpu(), expected, 1e-3)
