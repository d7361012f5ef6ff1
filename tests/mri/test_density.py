"""Density compensation: 1 on a Cartesian grid, areas that add up, and a gridded image of the right brightness."""

import math

import pytest
import torch
from torch import Tensor

from medrestore.errors import InputError
from medrestore.mri import pipe_menon, points_of, radial, spiral, voronoi
from medrestore.operators.nufft import nufft, nufft_adjoint

SIZE = (32, 30)
FULL = {"radial": radial(60, SIZE), "equal angles": radial(50, SIZE, golden=False), "spiral": spiral(8, SIZE)}


def weights(kind: str, trajectory: Tensor) -> Tensor:
    return pipe_menon(trajectory, SIZE) if kind == "pipe-menon" else voronoi(trajectory)


@pytest.mark.parametrize("kind", ["pipe-menon", "voronoi"])
def test_a_cartesian_grid_has_weights_of_one(kind: str) -> None:
    found = weights(kind, points_of(torch.ones(1, 30), SIZE))
    torch.testing.assert_close(found, torch.ones(30, 32), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["pipe-menon", "voronoi"])
@pytest.mark.parametrize("name", FULL)
def test_a_gridded_image_has_the_brightness_of_the_object(kind: str, name: str) -> None:
    t = FULL[name]
    w = weights(kind, t)
    assert w.shape == t.shape[:2] and bool((w >= 0).all())
    assert float(w.sum()) == pytest.approx(math.pi * 16 * 15, rel=0.12)  # the ellipse that they cover
    y, x = torch.meshgrid(torch.arange(32) - 16, torch.arange(30) - 15, indexing="ij")
    image = torch.exp(-((y / 6) ** 2 + (x / 5) ** 2)).to(torch.complex64)
    points = t.flatten(0, 1)
    gridded = nufft_adjoint(w.flatten() * nufft(image, points), points, SIZE)
    assert float((gridded - image).norm() / image.norm()) < 0.05


def test_samples_of_one_place_share_its_cell() -> None:
    grid = points_of(torch.ones(1, 30), SIZE)
    twice = torch.cat([grid, grid[10:12]])
    found = voronoi(twice)
    assert found[10].tolist() == pytest.approx([0.5] * 32) and found[30].tolist() == pytest.approx([0.5] * 32)
    assert found[5].tolist() == pytest.approx([1.0] * 32)


@pytest.mark.parametrize(("trajectory", "what"), [
    (radial(1, SIZE), "lie on one line"), (torch.zeros(1, 3, 2), "lie on one line or are fewer than four"),
    (torch.full((2, 3, 2), math.nan), "not finite"), (torch.zeros(4, 3), r"is \(readout, sample, 2\)"),
])
def test_what_has_no_cells(trajectory: Tensor, what: str) -> None:
    with pytest.raises(InputError, match=what):
        voronoi(trajectory)


def test_one_spoke_can_be_weighted_all_the_same() -> None:
    """As the message about its cells says."""
    assert bool(pipe_menon(radial(1, SIZE), SIZE).isfinite().all())


def test_weights_of_one_trajectory_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spokes = radial(11, SIZE)
    first = pipe_menon(spokes, SIZE)
    monkeypatch.setattr("medrestore.mri.density.nufft", lambda *given: pytest.fail("found again"))
    again = pipe_menon(spokes.clone(), SIZE)
    assert torch.equal(first, again)
    again.zero_()  # a caller's own
    assert torch.equal(pipe_menon(spokes, SIZE), first)
    monkeypatch.undo()
    other = pipe_menon(spokes * 0.9, SIZE)
    assert not torch.allclose(other, first) and torch.equal(pipe_menon(spokes.double(), SIZE).float(), first)
