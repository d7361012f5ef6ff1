"""Slices restored, and images that explain nothing refused."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.ready import PLAN, Shrink
from helpers.scans import SHAPE
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.errors import InputError
from medrestore.priors import Prior
from medrestore.recon.preparation import prepare
from medrestore.recon.records import volume_scores
from medrestore.recon.restoring import restore_slice, restore_slices


def test_slices_are_restored_as_alone(scan: Any) -> None:
    ready = prepare(scan, PLAN)
    alone = restore_slice(ready, Shrink(), PLAN, slice_index=1)
    _, second = restore_slices([ready, ready], Shrink(), PLAN)
    assert alone.restoration.seeds == second.restoration.seeds == (100_000,)
    torch.testing.assert_close(alone.image, second.image, rtol=1e-4, atol=1e-5)
    assert alone.image.shape == SHAPE and alone.samples.shape == (1, *SHAPE) and not alone.std.any()
    assert volume_scores([alone.cg_sense.abs()], [alone.image.abs()]).psnr > volume_scores([alone.zero_filled.abs()],
                                                                                           [alone.image.abs()]).psnr


class Loud(Prior):
    """Images thousands of times as bright as they are."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return 5000.0 * torch.ones_like(x) + 0 * x  # has a gradient


@pytest.mark.parametrize("changes", [{}, {"noise_std": 0.0}, {"method": "dps"}])
def test_an_image_that_explains_nothing_is_refused(scan: Any, changes: dict[str, Any]) -> None:
    plan = replace(PLAN, **changes)
    with pytest.raises(InputError, match=r"slice 7: the image has a data misfit of .*, where an empty one has"):
        restore_slice(prepare(scan, plan), Loud(), plan, slice_index=7)


def test_a_slice_of_noise_alone_is_not_refused(scan: Any) -> None:
    ready = prepare(scan, PLAN)
    noise = torch.randn(ready.problem.y.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    quiet = replace(ready, problem=replace(ready.problem, y=ready.problem.sigma * ready.sense.mask * noise))
    assert 0.5 < float(restore_slice(quiet, Shrink(), PLAN).restoration.misfit.max()) < 3
