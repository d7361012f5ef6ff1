"""A slice that is ready: what it says of itself, and its baselines."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.pretend_device import pretending
from helpers.ready import PLAN, Shrink
from helpers.scans import SHAPE

from medrestore.recon.plan import Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import CG_SENSE
from medrestore.recon.restoring import restore_slice


def test_undersampling_is_said_on_top_of_the_acceleration_of_the_scan(scan: Any) -> None:
    """4x of a scan that was acquired at 2.5x is 10x."""
    acquired = torch.zeros_like(scan.mask)
    acquired[:, 12:28] = 1
    twice = prepare(replace(scan, mask=acquired, kspace=acquired * scan.kspace),
                    replace(PLAN, undersample=Undersampling("uniform1d", 2, 8)))
    total, on_top = twice.sampling.acceleration, float(acquired.sum() / twice.sampling.mask.sum())
    assert total == pytest.approx(2.5 * on_top) and twice.reference is None
    assert twice.acquired == 2.5 and twice.acceleration == (
        f"{total:.2f}x: {on_top:.2f}x in software on top of the 2.50x that the scan was acquired with")
    once = prepare(scan, PLAN)
    assert once.acquired == 1 and once.acceleration == "2.00x"


def test_baselines_are_computed_when_they_are_asked_for(scan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ready, calls = prepare(scan, PLAN), []
    monkeypatch.setattr(type(CG_SENSE), "reconstruct", lambda *given: calls.append(1) or ready.zero_filled)
    done = restore_slice(ready, Shrink(), PLAN)
    assert calls == []
    assert done.cg_sense.shape == done.zero_filled.shape == SHAPE and calls == [1]
    restore_slice(prepare(scan, PLAN), Shrink(), replace(PLAN, start_sigma=1.0))
    assert calls == [1, 1]


def test_an_image_as_shown_lies_where_the_slice_is(scan: Any) -> None:
    with pretending() as device:
        ready = prepare(scan, PLAN, device=device)
        there = ready.shown(ready.problem.back_projected[0, 0])
        assert there.device == ready.gain.device == device
        here = prepare(scan, PLAN)
        torch.testing.assert_close(there.cpu(), here.shown(here.problem.back_projected[0, 0]), rtol=1e-4, atol=1e-5)
