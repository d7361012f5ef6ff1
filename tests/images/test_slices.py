"""Slices in a folder: stored, read again, and made again where they are damaged."""

from pathlib import Path

import pytest
import torch
from helpers.pictured import FieldOf, grey

from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.plan import Plan
from medrestore.images.restore import Measured, Restored, prepare
from medrestore.images.slices import Slices


def test_slices_are_kept(tmp_path: Path) -> None:
    slices, made = Slices(tmp_path), Restored(torch.rand(2, 1, 4, 5), torch.rand(1, 4, 5), 0.9)
    assert slices.load(3) is None
    slices.save(3, made)
    found = slices.read(3)
    assert (
        torch.equal(found.samples, made.samples)
        and torch.equal(found.simple, made.simple)
        and found.misfit == 0.9
    )
    slices.save(4, Restored(torch.rand(1, 1, 4, 5), None, 1.0))
    assert slices.read(4).simple is None and slices.count == 2
    (tmp_path / "000003.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="slice 3 was removed or damaged"):
        slices.read(3)


def test_only_what_is_missing_is_restored(tmp_path: Path) -> None:
    plan = Plan(Degradation(task="sr", factor=2), noise_std=1.0, steps=2)
    y = grey(size=(10, 12)).float().expand(3, 1, -1, -1)
    prior, slices = FieldOf(1), Slices(tmp_path)
    setting = prepare(Measured(y), plan, prior)
    slices.save(1, Restored(torch.zeros(1, 1, 20, 24), None, 7.0))
    assert slices.missing([0, 1]) == [0]
    slices.restore(Measured(y), setting, [0, 1], prior, plan, device="cpu")
    assert slices.missing([0, 1]) == [] and slices.count == 2 and slices.read(1).misfit == 7 and len(prior.sizes) == 2
