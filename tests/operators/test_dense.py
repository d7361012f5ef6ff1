"""MRI encoding, its inverse and its proximal map against sigpy and against dense linear algebra in float64."""

import math

import numpy as np
import pytest
import sigpy.mri
import torch
from helpers.operators import COMPLEX, coil_maps, lines, pixels
from laws import close, white
from torch import Tensor

from medrestore.codecs import ComplexChannels
from medrestore.consistency import misfit, project, prox
from medrestore.operators import AveragePool, Grayscale, LinearOperator, Mask, Sense, SingleCoil
from medrestore.problem import Problem

SIZES = [(12, 10), (11, 9)]
GAMMAS = [0.1, 5.0, 1e3, math.inf]


@pytest.mark.parametrize("size", [(12, 10), (11, 9), (12, 9)])
@pytest.mark.parametrize("kind", ["lines", "points"])
def test_sense_against_sigpy(size: tuple[int, int], kind: str) -> None:
    mask = lines(size[1]) if kind == "lines" else pixels(*size)
    maps, x = coil_maps(*size), white((1, 1, *size), COMPLEX)
    theirs = sigpy.mri.linop.Sense(maps[0].numpy())
    A = Sense(maps, mask)
    close(A(x)[0], torch.from_numpy(mask.numpy() * theirs(x[0, 0].numpy())), 1e-5)
    y = white((1, 4, *size), COMPLEX, seed=1)
    close(A.adjoint(y)[0, 0], torch.from_numpy(theirs.H((mask * y[0]).numpy())), 1e-5)


def centred_dft(n: int) -> np.ndarray:
    at = np.arange(n) - n // 2
    return np.exp(-2j * np.pi * np.outer(at, at) / n) / math.sqrt(n)


def encoding(maps: Tensor, mask: Tensor) -> np.ndarray:
    """M F S as a (coil * h * w, h * w) matrix, from nothing but its definition."""
    _, coils, height, width = maps.shape
    F = np.kron(centred_dft(height), centred_dft(width))
    rows = np.broadcast_to(mask.numpy(), (height, width)).reshape(-1, 1)
    return np.concatenate([rows * F * maps[0, c].numpy().astype(complex).reshape(1, -1) for c in range(coils)])


def operators(size: tuple[int, int]) -> dict[str, tuple[LinearOperator, np.ndarray]]:
    maps, ones = coil_maps(*size), torch.ones(1, 1, *size)
    few, dots = lines(size[1]), pixels(*size, seed=5)
    return {
        "spectral": (Sense(maps, few).spectral(), encoding(maps, few)),
        "lines": (Sense(maps, few), encoding(maps, few)),
        "points": (Sense(maps, dots), encoding(maps, dots)),
        "single coil": (SingleCoil(dots), encoding(ones, dots)),
    }


NAMES = ["spectral", "lines", "points", "single coil"]


def dense_pull(E: np.ndarray, x: np.ndarray, y: np.ndarray, gamma: float) -> np.ndarray:
    if math.isinf(gamma):
        return x + np.linalg.pinv(E, rcond=1e-3) @ (y - E @ x)
    return np.linalg.solve(np.eye(E.shape[1]) + gamma * E.conj().T @ E, x + gamma * E.conj().T @ y)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gamma", GAMMAS)
def test_pull_against_dense(size: tuple[int, int], name: str, gamma: float) -> None:
    A, E = operators(size)[name]
    x, noise = white((2, 1, *size), COMPLEX), white(A(torch.zeros(2, 1, *size, dtype=COMPLEX)).shape, COMPLEX, seed=1)
    problem = Problem(A, A(white((2, 1, *size), COMPLEX, seed=2)) + 0.1 * noise)
    codec = ComplexChannels(3.0)
    ours = codec.decode(prox(problem.encoded(codec), codec.encode(x), gamma, rtol=1e-6))
    for k in range(2):
        exact = dense_pull(E, x[k].numpy().reshape(-1).astype(complex), problem.y[k].numpy().reshape(-1).astype(complex), gamma)
        close(ours[k].reshape(-1), torch.from_numpy(exact).to(COMPLEX), 1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("gamma", [0.1, 5.0, 1e3, 1e5])
def test_resolvent_against_dense(size: tuple[int, int], gamma: float) -> None:
    plain, E = operators(size)["lines"]
    x, y = white((2, 1, *size), COMPLEX), white((2, 4, *size), COMPLEX, seed=1)
    codec = ComplexChannels(3.0)
    problem = Problem(plain.resolvent(gamma), plain.mask * y)
    seen = problem.encoded(codec)
    ours = codec.decode(prox(seen, codec.encode(x), gamma))
    for k in range(2):
        exact = dense_pull(E, x[k].numpy().reshape(-1).astype(complex), problem.y[k].numpy().reshape(-1).astype(complex), gamma)
        close(ours[k].reshape(-1), torch.from_numpy(exact).to(COMPLEX), 2e-5)
    other = prox(Problem(plain, problem.y).encoded(codec), codec.encode(x), 2 * gamma)
    assert torch.equal(prox(seen, codec.encode(x), 2 * gamma), other)  # its matrices serve one gamma only


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["spectral", "single coil"])
def test_pinv_against_dense(size: tuple[int, int], name: str) -> None:
    A, E = operators(size)[name]
    y = white(A(torch.zeros(1, 1, *size, dtype=COMPLEX)).shape, COMPLEX)
    exact = np.linalg.pinv(E, rcond=1e-3) @ y.numpy().reshape(-1).astype(complex)
    close(A.pinv(y).reshape(-1), torch.from_numpy(exact).to(COMPLEX), 1e-4)
    s = np.linalg.svd(E, compute_uv=False)
    ours = A.spectrum.s.expand(size).flatten().sort(descending=True).values
    close(ours[ours > 0], torch.from_numpy(s[s > 1e-3]).float(), 1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_project_meets_the_data_and_moves_no_further(size: tuple[int, int]) -> None:
    A, E = operators(size)["spectral"]
    x = white((3, 1, *size), COMPLEX)
    problem = Problem(A, A(white((1, 1, *size), COMPLEX, seed=1)))  # one measurement serves every sample
    fixed = project(problem, x)
    assert float(misfit(problem, fixed).max()) <= 1e-3 * float(misfit(problem, x).min())
    for k in range(3):
        exact = dense_pull(E, x[k].numpy().reshape(-1).astype(complex), problem.y.numpy().reshape(-1).astype(complex), math.inf)
        close(fixed[k].reshape(-1), torch.from_numpy(exact).to(COMPLEX), 1e-4)
    close(fixed, prox(problem, x, math.inf), 1e-5)


def test_cg_agrees_with_the_closed_form() -> None:
    A = Mask(pixels(4, 3)) @ Grayscale() @ AveragePool(2, (8, 6))
    x = white((2, 3, 8, 6))
    problem = Problem(A, A(white((2, 3, 8, 6), seed=1)))
    for gamma in (0.1, 1e3, math.inf):
        close(prox(problem, x, gamma, cg_steps=40, rtol=1e-7), prox(problem, x, gamma), 1e-5)


def test_exact_forms_need_lines() -> None:
    points = Sense(coil_maps(8, 8), pixels(8, 8))
    with pytest.raises(TypeError, match="an exact spectrum only for masks along one phase-encode axis"):
        points.spectral()
    with pytest.raises(TypeError, match="an exact resolvent only for masks along one phase-encode axis"):
        points.resolvent(5.0)
    for gamma in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="finite positive gamma"):
            Sense(coil_maps(8, 8), lines(8)).resolvent(gamma)
