"""Products of one matrix a row: the same by matrix-vector products, which one thread takes, and in one batch."""

from collections.abc import Iterator

import laws
import pytest
import torch
from laws import close, white
from torch import Tensor

from medrestore.mri import sampling_mask, simulated_maps
from medrestore.operators import Sense
from medrestore.operators import sense_rows as module
from medrestore.operators.sense_rows import NEGLIGIBLE, by_row, by_row_adjoint, corrected_by_row

ROWS, K, W = 5, 6, 8


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["row by row", "in one batch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(module, "FEW", 8 if request.param == "row by row" else 0)
    return request.param


def orthonormal() -> Tensor:
    """(ROWS, K, W) with orthonormal rows."""
    return torch.linalg.qr(white((ROWS, W, K), torch.complex64)).Q.mH.resolve_conj().contiguous()


def image(batch: int, width: int, seed: int) -> Tensor:
    """A part of a larger image, so that its rows do not follow one another in memory; conjugated, but not yet in memory."""
    return white((batch, 1, ROWS + 2, width + 3), torch.complex64, seed=seed)[..., 1:-1, 2 : width + 2].conj()


def product(matrices: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("rkw,bcrw->bcrk", matrices.to(torch.complex128), x.to(torch.complex128))


@pytest.mark.parametrize("batch", [1, 3, 9])
def test_products(way: str, batch: int) -> None:
    matrices, x, c = orthonormal(), image(batch, W, 1), image(batch, K, 2)
    close(by_row(matrices, x).to(torch.complex128), product(matrices, x), 1e-6)
    close(by_row_adjoint(matrices, c).to(torch.complex128), product(matrices.mH, c), 1e-6)


@pytest.mark.parametrize(("batch", "targets"), [(1, 1), (3, 1), (3, 3)])
def test_correction(way: str, batch: int, targets: int) -> None:
    """Trust that grows along a row, is nothing in another, and does not grow in a third."""
    matrices, x, target = orthonormal(), image(batch, W, 1), image(targets, K, 2)
    trust = torch.linspace(0, 1, K).expand(ROWS, K).clone()
    trust[1] = 0
    trust[2] = torch.tensor([0.0, 0.5, 0.0, -0.3, 0.0, 0.0])
    before = x.clone()
    expected = x + product(matrices.mH, trust * (target - product(matrices, x)))
    close(corrected_by_row(matrices, x, trust, target).to(torch.complex128), expected, 1e-6)
    assert torch.equal(x, before)


def test_what_is_left_out_is_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    matrices, x, target = orthonormal(), image(2, W, 1), image(1, K, 2)
    trust = torch.tensor([1e-7, 0.3, 0.9, 1.0, 1.0, 1.0]).cumsum(0).expand(ROWS, K)
    monkeypatch.setattr(module, "NEGLIGIBLE", 0.5)
    left = 2  # coefficients whose trust is below
    change = corrected_by_row(matrices, x, trust, target).to(torch.complex128) - (
        x + product(matrices.mH, trust * (target - product(matrices, x))))
    bound = 0.5 * (target - product(matrices, x))[..., :left].norm()
    assert 0.1 * bound < change.norm() <= bound
    assert NEGLIGIBLE < 1e-4


def test_gradients_flow() -> None:
    matrices, x = orthonormal(), image(1, W, 1).clone().requires_grad_()
    by_row(matrices, x).abs().square().sum().backward()
    close(x.grad, 2 * by_row_adjoint(matrices, by_row(matrices, x.detach())), 1e-5)


@pytest.mark.parametrize("form", ["spectral", "resolvent"])
def test_laws_of_the_exact_forms(form: str) -> None:
    """Which run on as many threads as there are elsewhere."""
    maps = simulated_maps(4, (9, 12), generator=torch.Generator().manual_seed(0))
    maps[..., :2] = 0
    sense = Sense(maps, sampling_mask("uniform1d", (9, 12), 2, acs=4, seed=0).mask)
    A = sense.spectral(cutoff=1e-4) if form == "spectral" else sense.resolvent(3.0)
    for law in laws.laws_of(A):
        law(A, white((3, 1, 9, 12), torch.complex64), 1e-2)
