"""Coil maps: given, estimated, from separate lines, refined."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.ready import PLAN
from helpers.scans import NOISE, SHAPE

from medrestore.consistency import unexplained
from medrestore.errors import InputError
from medrestore.problem import Problem
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare


def test_maps_are_scaled_to_unit_norm(scan: Any) -> None:
    maps = 3 * prepare(scan, PLAN).sense.maps
    ready = prepare(scan, PLAN, maps=maps)
    norm = ready.sense.maps.abs().square().sum(1).sqrt()
    torch.testing.assert_close(norm[norm > 0], torch.ones_like(norm[norm > 0]))
    with pytest.raises(InputError, match=r"coil maps are \(3, 48, 40\) and the k-space is \(4, 48, 40\)"):
        prepare(scan, PLAN, maps=maps[:, :3])


def test_separate_calibration_lines_give_the_maps(scan: Any) -> None:
    mask = torch.zeros(1, SHAPE[1])
    mask[0, ::2] = 1
    central = torch.zeros(1, SHAPE[1])
    central[0, SHAPE[1] // 2 - 10 : SHAPE[1] // 2 + 10] = 1
    bare = replace(scan, kspace=scan.kspace * mask, mask=mask)
    plan = Plan("diffpir", steps=2, noise_std=NOISE)
    with pytest.raises(InputError, match="needs 8 calibration lines but finds 1; give coil maps by `maps`"):
        prepare(bare, plan)
    apart = replace(bare, calibration=scan.kspace * central * 3j)  # of another contrast
    ready, whole = prepare(apart, plan), prepare(scan, plan)
    both = (ready.sense.maps != 0) & (whole.sense.maps != 0)
    assert both.float().mean() > 0.3 and (ready.sense.maps - whole.sense.maps)[both].abs().mean() < 0.1
    assert torch.equal(ready.problem.y, bare.kspace)  # they are no part of the data
    prepare(bare, plan, maps=whole.sense.maps)  # the advice, followed
    few = replace(scan, calibration=scan.kspace * 0 + 1)  # the scan has as many of its own
    torch.testing.assert_close(prepare(few, plan).sense.maps, whole.sense.maps)


def test_maps_are_refined_where_they_leave_more_than_the_noise(scan: Any) -> None:
    plan = replace(PLAN, refine_maps=True)
    right = prepare(scan, PLAN)
    ripple = torch.exp(0.5j * torch.sin(torch.arange(scan.kspace.shape[-2]) / 5))[:, None]
    wrong = right.sense.maps.clone()
    wrong[:, 1::2] *= ripple
    kept, mended = prepare(scan, PLAN, maps=wrong), prepare(scan, plan, maps=wrong)
    assert unexplained(Problem(mended.sense, mended.kspace)) < 0.5 * unexplained(Problem(kept.sense, kept.kspace))
    assert "estimated together with the image" in mended.notes[-1] and kept.notes == right.notes
    alone = prepare(replace(scan, kspace=scan.kspace[:, :1], noise=None), plan, maps=torch.ones_like(wrong[:, :1]))
    assert "there is one coil" in alone.notes[-1]
    loud = prepare(scan, replace(plan, noise_std=1e3))
    assert "were not refined: they leave" in loud.notes[-1] and torch.equal(loud.sense.maps, right.sense.maps)
