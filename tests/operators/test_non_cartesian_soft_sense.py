"""Encodings along a trajectory with several sets of maps: the laws, a dense matrix, the mask, and their data step."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, dense_fourier, full, pixels, spokes
from laws import close, white
from torch import Tensor

from medrestore.codecs import ComplexChannels, Padded
from medrestore.consistency import prox
from medrestore.mri import points_of
from medrestore.operators import NonCartesianSense, NonCartesianSoftSense, SoftSense, along_trajectory, check
from medrestore.operators.stack import stack
from medrestore.problem import Problem

HEIGHT, WIDTH = 14, 12


def two_sets(height: int = HEIGHT, width: int = WIDTH, coils: int = 4) -> Tensor:
    """Orthogonal to each other, the second there in some columns alone."""
    first = coil_maps(height, width, coils)
    second = first.flip(1).clone()
    second -= first * (first.conj() * second).sum(1, keepdim=True)
    second[..., :5] = 0
    return torch.cat([first, second / second.abs().square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)])


@pytest.mark.parametrize("weights", [full(spokes(5, 14)), 0.4 * pixels(5, 14)], ids=["all", "weighted"])
def test_laws(weights: Tensor) -> None:
    A = NonCartesianSoftSense(two_sets(), spokes(5, 14), weights)
    check(A, (2, HEIGHT, WIDTH), dtype=COMPLEX)
    encoded = A @ ComplexChannels(2.0).linear
    check(encoded @ Padded((16, 16), (HEIGHT, WIDTH)).linear, (4, 16, 16))
    other = NonCartesianSoftSense(two_sets().roll(1, 2), spokes(5, 14), weights) @ ComplexChannels(2.0).linear
    check(stack([encoded, other]), (4, HEIGHT, WIDTH))


def test_the_toeplitz_matrix_is_the_pair_of_transforms() -> None:
    A, x = NonCartesianSoftSense(two_sets(), spokes(5, 14), pixels(5, 14)), white((3, 2, HEIGHT, WIDTH), COMPLEX)
    close(A.normal(x), A.adjoint(A(x)), 1e-5)


@pytest.mark.parametrize("size", [(32, 32), (9, 12)])
def test_against_a_dense_matrix(size: tuple[int, int]) -> None:
    maps, trajectory, weights, gamma = two_sets(*size, coils=3), spokes(9, 12), 0.7 * pixels(9, 12), 20.0
    A, x = NonCartesianSoftSense(maps, trajectory, weights), white((1, 2, *size), COMPLEX)
    F = weights.flatten()[:, None] * dense_fourier(trajectory.flatten(0, 1), *size)
    E = torch.cat([torch.cat([F * one.flatten() for one in coil], 1) for coil in maps.transpose(0, 1).to(F)])
    close(A(x).flatten(), (E @ x.flatten().to(E)).to(COMPLEX), 1e-5)
    y = A(x) + 0.1 * weights * white((1, 3, 9, 12), COMPLEX, seed=2)
    right = x.flatten().to(E) + gamma * E.mH @ y.flatten().to(E)
    solved = torch.linalg.solve(torch.eye(len(right)) + gamma * E.mH @ E, right)
    close(prox(Problem(A, y), x, gamma, rtol=1e-6), solved.reshape(x.shape).to(COMPLEX), 1e-4)


def test_the_points_of_a_mask_are_the_mask() -> None:
    mask, x = pixels(1, WIDTH), white((2, 2, HEIGHT, WIDTH), COMPLEX)
    points = points_of(mask, (HEIGHT, WIDTH))
    A, S = NonCartesianSoftSense(two_sets(), points, full(points)), SoftSense(two_sets(), mask)
    close(A.normal(x), S.normal(x), 1e-5)
    close(A(x), S(x)[..., mask[0] > 0].mT, 1e-5)


def test_it_is_made_where_there_are_several_sets() -> None:
    points = spokes(5, 14)
    one, two = (along_trajectory(maps, points, full(points)) for maps in (two_sets()[:1], two_sets()))
    assert isinstance(one, NonCartesianSense) and one.sets == 1
    assert isinstance(two, NonCartesianSoftSense) and two.sets == 2 and two.support.shape == (1, 2, HEIGHT, WIDTH)
    x = white((1, 2, HEIGHT, WIDTH), COMPLEX)
    x[:, 1] = 0
    close(two(x), one(x[:, :1]), 1e-6)
