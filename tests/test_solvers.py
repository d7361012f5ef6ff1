"""Conjugate gradients: right, each sample on its own."""

import pytest
import torch
from helpers.pretend_device import counting, pretending
from laws import close, white
from torch import Tensor

from medrestore.solvers import LOOK, cg

COMPLEX = torch.complex64


def systems(dtype: torch.dtype, conditions: list[float], size: int = 12) -> Tensor:
    """(batch, size, size) Hermitian positive matrices, eigenvalues evenly spaced from 1 to each condition number."""
    Q = torch.linalg.qr(white((len(conditions), size, size), dtype)).Q
    eigenvalues = torch.stack([torch.linspace(1.0, condition, size) for condition in conditions])
    return Q @ (eigenvalues[:, :, None] * Q.mH)


def apply(H: Tensor):
    """The matrices as an operator on images (batch, 1, 3, 4)."""
    return lambda x: (H @ x.reshape(len(x), -1, 1)).reshape(x.shape)


@pytest.mark.parametrize("dtype", [torch.float32, COMPLEX])
def test_dense_systems(dtype: torch.dtype) -> None:
    H = systems(dtype, [2.0, 10.0, 100.0])
    b = white((3, 1, 3, 4), dtype, seed=1)
    exact = torch.linalg.solve(H, b.reshape(3, 12, 1)).reshape(b.shape)
    close(cg(apply(H), b, max_steps=50, rtol=1e-6), exact, 1e-5)


def test_ends_within_as_many_steps_as_eigenvalues() -> None:
    H = systems(COMPLEX, [5.0, 5.0])
    two = torch.linalg.eigh(H[:1]).eigenvectors
    H = two @ (torch.tensor([1.0] * 6 + [4.0] * 6)[:, None] * two.mH)
    b = white((1, 1, 3, 4), COMPLEX, seed=2)
    close(cg(apply(H), b, max_steps=2), torch.linalg.solve(H, b.reshape(1, 12, 1)).reshape(b.shape), 1e-5)


def test_steps_are_those_of_the_krylov_space() -> None:
    """k steps minimise the energy norm of the error over span(b, H b, ..., H^(k-1) b)."""
    H = systems(torch.float32, [20.0])
    b = white((1, 1, 3, 4), seed=3)
    v = b.reshape(12, 1).double()
    matrix = H[0].double()
    K = torch.linalg.qr(torch.cat([v, matrix @ v, matrix @ matrix @ v], 1)).Q
    best = K @ torch.linalg.solve(K.T @ matrix @ K, K.T @ v)
    close(cg(apply(H), b, max_steps=3).reshape(12, 1), best.float(), 1e-5)


@pytest.mark.parametrize("max_steps", [1, 4, 60])
def test_a_sample_does_not_know_its_batch(max_steps: int) -> None:
    H = systems(COMPLEX, [1.0, 30.0, 3000.0])
    b = white((3, 1, 3, 4), COMPLEX, seed=4) * torch.tensor([1e-3, 1.0, 1e4]).reshape(3, 1, 1, 1)
    together = cg(apply(H), b, max_steps=max_steps, rtol=1e-4)
    for k in range(3):
        close(together[k : k + 1], cg(apply(H[k : k + 1]), b[k : k + 1], max_steps=max_steps, rtol=1e-4), 1e-4)


def test_a_sample_rests_once_it_has_converged() -> None:
    H = systems(torch.float32, [1.0, 1000.0])
    b = white((2, 1, 3, 4), seed=5)
    early, late = (cg(apply(H), b, max_steps=steps, rtol=1e-3) for steps in (1, 40))
    assert torch.equal(early[0], late[0]) and not torch.equal(early[1], late[1])
    calls = []
    cg(lambda x: calls.append(0) or apply(H[:1])(x), b[:1], max_steps=40, rtol=1e-3)
    assert len(calls) == 1


def test_nothing_to_solve() -> None:
    b = torch.zeros(2, 1, 3, 4)
    b[1] = 1.0
    x = cg(lambda z: 2 * z, b, max_steps=5)
    assert torch.equal(x, b / 2)
    assert torch.equal(cg(lambda z: 2 * z, b, max_steps=0), torch.zeros_like(b))


@pytest.mark.parametrize("max_steps", [1, 7, 8, 9, 30])
def test_the_residual_is_read_back_every_eighth_step(max_steps: int) -> None:
    H = systems(torch.float32, [3000.0, 3000.0])
    b = white((2, 1, 3, 4), seed=6)
    here = cg(apply(H), b, max_steps=max_steps, rtol=0.0)
    with pretending() as device, counting() as counts:
        there = cg(apply(H.to(device)), b.to(device), max_steps=max_steps, rtol=0.0)
        assert counts.reads == (max_steps - 1) // LOOK and counts.waits == 2  # the matrices and b
        close(there.cpu(), here, 1e-3)
