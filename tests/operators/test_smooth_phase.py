"""Encodings of images of known phase: the laws, and what the constraint does to the part that is out of phase."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, lines, pixels
from laws import close, white

from medrestore.codecs import ComplexChannels, Padded
from medrestore.consistency import prox
from medrestore.operators import Sense, SmoothPhase, check
from medrestore.operators.stack import stack
from medrestore.problem import Problem

SHAPE = (14, 12)


def constrained(mask: torch.Tensor, weight: float = 0.7) -> SmoothPhase:
    phase = torch.polar(torch.ones(1, 1, *SHAPE), torch.linspace(-3, 3, 12).expand(1, 1, *SHAPE))
    return SmoothPhase(Sense(coil_maps(*SHAPE), mask), phase, weight * (1 + torch.rand(1, 1, *SHAPE,
                       generator=torch.Generator().manual_seed(0))))


@pytest.mark.parametrize("mask", [lines(SHAPE[1]), 0.3 * pixels(*SHAPE)], ids=["lines", "weighted pixels"])
def test_laws(mask: torch.Tensor) -> None:
    A = constrained(mask)
    encoded = A @ ComplexChannels(2.0).linear @ Padded((16, 16), SHAPE).linear
    check(encoded, (2, 16, 16))
    check(stack([A @ ComplexChannels(2.0).linear, constrained(mask, 2.0) @ ComplexChannels(2.0).linear]), (2, *SHAPE))


def test_the_part_out_of_phase_is_as_if_measured_with_noise_of_one() -> None:
    """Its squares in the misfit are w^2 Im^2, though it is spread over two numbers."""
    A, x = constrained(lines(SHAPE[1])), white((2, 1, *SHAPE), COMPLEX)
    out = A(x)[:, -1:]
    close(out.abs(), (A.held * (A.phase.conj() * x).imag).abs(), 1e-6)
    y = A.encoding(x)
    assert torch.equal(A.of_encoding(A.data(y)), y) and not A.data(y)[:, -1].any()


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
