"""The Fourier transform at any points, against the grid's own, a dense matrix and finite differences."""

import sys

import pytest
import torch
from helpers.operators import COMPLEX, dense_fourier, grid, spokes
from helpers.pretend_device import pretending
from laws import close, inner, white

from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.operators.nufft import nufft, nufft_adjoint

SIZES = [(12, 10), (11, 9), (12, 9), (1, 8)]


@pytest.mark.parametrize("size", SIZES)
def test_at_the_points_of_the_grid_it_is_the_transform_of_the_grid(size: tuple[int, int]) -> None:
    x = white((2, 3, *size), COMPLEX)
    close(nufft(x, grid(*size)), fft2c(x).flatten(-2), 1e-5)
    close(nufft_adjoint(fft2c(x).flatten(-2), grid(*size), size), x, 1e-5)


@pytest.mark.parametrize("size", [*SIZES, (32, 32)])
def test_against_a_dense_matrix(size: tuple[int, int]) -> None:
    """Beyond the edge of k-space, too, where the transform is periodic."""
    points = torch.cat([spokes(7, 12).flatten(0, 1), torch.tensor([[size[0] / 2, size[1] / 2], [0.75 * size[0], -size[1]]])])
    F, x = dense_fourier(points, *size), white((1, 2, *size), COMPLEX)
    close(nufft(x, points), (x.flatten(-2).to(F) @ F.T).to(COMPLEX), 1e-5)
    y = white((1, 2, len(points)), COMPLEX, seed=1)
    close(nufft_adjoint(y, points, size), (y.to(F) @ F.conj()).to(COMPLEX).reshape(1, 2, *size), 1e-5)
    double = x.to(torch.complex128)
    close(nufft(double, points), double.flatten(-2) @ F.T, 1e-10)


def test_gradients_to_second_order() -> None:
    points, x = spokes(3, 4).flatten(0, 1), white((2, 4, 3), torch.complex128).requires_grad_()
    torch.autograd.gradcheck(lambda z: nufft(z, points), x)
    torch.autograd.gradgradcheck(lambda z: nufft(z, points).abs().square().sum(), x)
    y = white((2, 12), torch.complex128).requires_grad_()
    torch.autograd.gradcheck(lambda v: nufft_adjoint(v, points, (4, 3)), y)


def test_no_images_and_no_grads_that_are_not_asked_for() -> None:
    points = spokes(3, 4).flatten(0, 1)
    assert nufft(torch.zeros(0, 2, 4, 3, dtype=COMPLEX), points).shape == (0, 2, 12)
    assert not nufft(white((4, 3), COMPLEX), points).requires_grad


def test_conjugated_views_are_seen_as_they_are() -> None:
    points, x = spokes(3, 4).flatten(0, 1), white((4, 3), COMPLEX)
    close(nufft(x.conj(), points), nufft(x.conj().resolve_conj(), points), 1e-12)
    y = nufft(x, points)
    assert inner(y.conj(), nufft(x.conj(), -points)) == pytest.approx(inner(y, y), rel=1e-4)


def test_on_a_device() -> None:
    points, x = spokes(3, 4).flatten(0, 1), white((4, 3), COMPLEX)
    with pretending() as device:
        there = nufft(x.to(device), points.to(device))
        assert there.device == device
        back = nufft_adjoint(there, points.to(device), (4, 3))
        assert back.device == device
        close(there.cpu(), nufft(x, points), 1e-6)
        close(back.cpu(), nufft_adjoint(nufft(x, points), points, (4, 3)), 1e-6)


def test_without_finufft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "finufft", None)
    with pytest.raises(InputError, match=r"a trajectory needs finufft, .*pip install 'medrestore\[nufft\]'"):
        nufft(white((4, 3), COMPLEX), spokes(3, 4).flatten(0, 1))
