"""Encodings of images of known phase: the laws, and what the constraint does to the part that is out of phase."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, dense_fourier, lines, pixels, spokes
from laws import close, white

from medrestore.codecs import ComplexChannels, Padded
from medrestore.consistency import prox
from medrestore.operators import NonCartesianSense, Sense, SmoothPhase, check
from medrestore.operators.stack import stack
from medrestore.problem import Problem

SHAPE = (14, 12)


def constrained(mask: torch.Tensor, weight: float = 0.7) -> SmoothPhase:
    return held(Sense(coil_maps(*SHAPE), mask), weight)


def held(encoding: Sense | NonCartesianSense, weight: float = 0.7) -> SmoothPhase:
    size = encoding.maps.shape[-2:]
    phase = torch.polar(torch.ones(1, 1, *size), torch.linspace(-3, 3, size[1]).expand(1, 1, *size))
    random = torch.Generator().manual_seed(0)
    return SmoothPhase(encoding, phase, weight * (1 + torch.rand(1, 1, *size, generator=random)))


def along(size: tuple[int, int] = SHAPE, coils: int = 4) -> NonCartesianSense:
    return NonCartesianSense(coil_maps(*size, coils), spokes(5, 14), 0.5 * pixels(5, 14))


@pytest.mark.parametrize("mask", [lines(SHAPE[1]), 0.3 * pixels(*SHAPE)], ids=["lines", "weighted pixels"])
def test_laws(mask: torch.Tensor) -> None:
    A = constrained(mask)
    encoded = A @ ComplexChannels(2.0).linear @ Padded((16, 16), SHAPE).linear
    check(encoded, (2, 16, 16))
    check(stack([A @ ComplexChannels(2.0).linear, constrained(mask, 2.0) @ ComplexChannels(2.0).linear]), (2, *SHAPE))


def test_laws_along_a_trajectory() -> None:
    encoded = held(along()) @ ComplexChannels(2.0).linear @ Padded((16, 16), SHAPE).linear
    check(encoded, (2, 16, 16))
    check(stack([held(along()) @ ComplexChannels(2.0).linear, held(along(), 2.0) @ ComplexChannels(2.0).linear]), (2, *SHAPE))


@pytest.mark.parametrize("size", [(32, 32), (7, 10)])
def test_the_data_step_along_a_trajectory_is_that_of_a_dense_matrix(size: tuple[int, int]) -> None:
    A = held(along(size, 2))
    x = white((1, 1, *size), COMPLEX)
    y = A(x) + 0.1 * A.sampled * white(tuple(A(x).shape), COMPLEX, seed=2)
    F = A.encoding.mask.flatten()[:, None] * dense_fourier(A.encoding.trajectory.flatten(0, 1), *size)
    E = torch.cat([F * one.flatten() for one in A.encoding.maps[0].to(F)])
    real = torch.cat([torch.cat([E.real, -E.imag], 1), torch.cat([E.imag, E.real], 1)])
    p, w = A.phase.flatten().to(F), A.held.flatten().double()
    out = torch.cat([torch.diag(-w * p.imag), torch.diag(w * p.real)], 1)
    of_pixels = y[0, 0, 0, -p.numel():].to(F)
    samples, pixels_ = A.of_encoding(y).flatten().to(F), (of_pixels.real + of_pixels.imag) / 2**0.5
    matrix = torch.cat([real, out])
    data, gamma, n = torch.cat([samples.real, samples.imag, pixels_]), 3.0, 2 * p.numel()
    start = torch.cat([x.real.flatten(), x.imag.flatten()]).double()
    solved = torch.linalg.solve(torch.eye(n, dtype=torch.float64) + gamma * matrix.T @ matrix, start + gamma * matrix.T @ data)
    expected = torch.complex(*solved.chunk(2)).reshape(x.shape).to(COMPLEX)
    close(prox(Problem(A, y), x, gamma, rtol=1e-6), expected, 1e-4)


def test_the_part_out_of_phase_is_as_if_measured_with_noise_of_one() -> None:
    """Its squares in the misfit are w^2 Im^2, though it is spread over two numbers."""
    A, x = constrained(lines(SHAPE[1])), white((2, 1, *SHAPE), COMPLEX)
    out = A(x)[..., -A.phase.numel():].reshape(2, 1, *SHAPE)
    close(out.abs(), (A.held * (A.phase.conj() * x).imag).abs(), 1e-6)
    y = A.encoding(x)
    assert torch.equal(A.of_encoding(A.data(y)), y) and not A.data(y)[..., -A.phase.numel():].any()


def test_a_side_of_k_space_follows_from_the_other() -> None:
    """With one coil nothing else tells the lines that were left out."""
    full = Sense(torch.ones(1, 1, *SHAPE, dtype=COMPLEX), torch.ones(1, SHAPE[1]))
    mask = torch.zeros(1, SHAPE[1])
    mask[:, 3:] = 1
    phase = constrained(mask).phase
    image = phase * torch.rand(1, 1, *SHAPE, generator=torch.Generator().manual_seed(1))
    half = Sense(full.maps, mask)
    held = SmoothPhase(half, phase, torch.ones(1, 1, *SHAPE))
    zero = torch.zeros_like(image)
    free = prox(Problem(half, half(image)), zero, 1e6, rtol=1e-6)
    known = prox(Problem(held, held.data(half(image))), zero, 1e6, rtol=1e-6)
    assert (free - image).abs().square().sum() > 0.02 * image.abs().square().sum()
    close(known, image, 5e-2)
