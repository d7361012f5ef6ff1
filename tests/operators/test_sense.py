"""The quick forms of the multi-coil encoding are the plain ones: blocks, virtual coils, the box of the object, threads."""

import pytest
import torch
from laws import close, white
from torch import Tensor

from medrestore.codecs import ComplexChannels, Padded
from medrestore.consistency import prox
from medrestore.mri import sampling_mask, simulated_maps
from medrestore.operators import Sense
from medrestore.operators.sense import virtual_maps
from medrestore.problem import Problem

SHAPE = (46, 40)


def maps_of_an_object(coils: int = 12) -> Tensor:
    """Unit maps on an ellipse that leaves rows and columns on every side free, with a hole in it and a gap of two rows."""
    y, x = (torch.linspace(-1, 1, n) for n in SHAPE)
    radius = (y[:, None] / 0.8) ** 2 + (x / 0.6 - 0.2) ** 2
    inside = (radius < 1) & (radius > 0.05)
    inside[11:13] = False
    return simulated_maps(coils, SHAPE, generator=torch.Generator().manual_seed(0)) * inside


def sense(kind: str, maps: Tensor) -> Sense:
    return Sense(maps, sampling_mask(kind, SHAPE, 3, seed=0).mask)


@pytest.mark.parametrize("kind", ["uniform1d", "poisson2d"])
@pytest.mark.parametrize("block", [1, 2**13, 2**20])
def test_normal_in_blocks(kind: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrestore.operators.sense.BLOCK_BYTES", block)
    A = sense(kind, maps_of_an_object())
    for images in (1, 3):
        x = white((images, 1, *SHAPE), torch.complex64)
        close(A.normal(x), A.adjoint(A(x)), 1e-6)


@pytest.mark.parametrize("kind", ["uniform1d", "gaussian2d"])
def test_preconditioner_has_the_diagonal_of_k_space(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is the exact inverse where Ah A is circulant: one coil that sees all alike."""
    monkeypatch.setattr("medrestore.operators.sense.LEAST", 0.0)
    A, gamma = sense(kind, maps_of_an_object(4)), 30.0
    x = torch.zeros(3, 1, *SHAPE, dtype=torch.complex64)
    for wave, (row, column) in zip(x, [(0, 0), (23, 19), (30, 5)], strict=True):
        wave[0, row, column] = 1  # of the transforms along the undersampled axes
    axes = (-1,) if A.one_axis else (-2, -1)
    found = torch.fft.fftn(A.normal(torch.fft.ifftn(x, dim=axes, norm="ortho")), dim=axes, norm="ortho")
    at = x != 0
    close(torch.broadcast_to(A._circulant, x.shape)[at], found[at].real, 1e-5)
    flat = Sense(torch.ones(1, 1, *SHAPE, dtype=torch.complex64), A.mask)
    image = white((2, 1, *SHAPE), torch.complex64)
    close(flat.preconditioner(gamma)(image / gamma + flat.normal(image)), image, 1e-5)


@pytest.mark.parametrize("kind", ["uniform1d", "poisson2d", "gaussian2d"])
@pytest.mark.parametrize("codec", [ComplexChannels(1.0), ComplexChannels(2.0)])
def test_preconditioned_steps_are_fewer(kind: str, codec: ComplexChannels, monkeypatch: pytest.MonkeyPatch) -> None:
    """And lead to the same place; seen through a prior's coordinates, with a field around the image."""
    A = sense(kind, maps_of_an_object(8))
    y = A(white((1, 1, *SHAPE), torch.complex64))
    problem = Problem(A, y).encoded(codec).encoded(Padded((48, 48), SHAPE))
    x = white((2, 2, 48, 48), seed=3)
    steps, solved = {}, {}
    for helped in (True, False):
        calls: list[int] = []
        with monkeypatch.context() as patch:
            patch.setattr(Sense, "normal", lambda self, x, plain=Sense.normal, calls=calls: calls.append(1) or plain(self, x))
            if not helped:
                patch.setattr(Sense, "preconditioner", lambda self, gamma: None)
            solved[helped] = prox(problem, x, 50.0, rtol=1e-5)
        steps[helped] = len(calls)
    assert steps[True] < 0.8 * steps[False]
    close(solved[True], solved[False], 1e-3)


@pytest.mark.parametrize(("cg_steps", "least", "most"), [(7, 7, 7), (None, 2, 6)])
def test_a_number_of_steps_is_taken_and_a_solution_ends_where_it_pays(cg_steps: int | None, least: int, most: int,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    A, calls = sense("poisson2d", maps_of_an_object(8)), []
    problem = Problem(A, A(white((1, 1, *SHAPE), torch.complex64)))
    plain = Sense.normal
    monkeypatch.setattr(Sense, "normal", lambda self, x: calls.append(1) or plain(self, x))
    prox(problem, white((1, 1, *SHAPE), torch.complex64, seed=3), 20.0, cg_steps=cg_steps)
    assert least <= len(calls) - 1 <= most  # one is for the residual at the start


def test_virtual_coils_are_fewer_and_have_the_same_gram_matrices() -> None:
    maps = maps_of_an_object(16)[0, :, 14:24]
    few = virtual_maps(maps)
    assert few.shape[1:] == maps.shape[1:] and len(few) < 13
    gram, same = (torch.einsum("crw,crv->rwv", m.conj(), m) for m in (maps, few))
    assert (gram - same).abs().max() < 1e-6
