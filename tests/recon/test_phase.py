"""Scans that leave out a side of k-space: their phase is held to that of the centre, and the notes say so."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.ready import Shrink
from helpers.scans import SHAPE

from medrestore.errors import InputError
from medrestore.io import Scan
from medrestore.operators import SmoothPhase
from medrestore.recon.phase import HELD
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.recon.restoring import restore_slices


@pytest.fixture
def partial(scan: Any) -> Scan:
    """6/8 of the lines."""
    mask = torch.zeros(1, SHAPE[1])
    mask[:, SHAPE[1] // 4 :] = 1
    return replace(scan, kspace=scan.kspace * mask, mask=mask)


def test_the_phase_is_held_where_a_side_was_left_out(scan: Any, partial: Scan) -> None:
    whole, half = (prepare(one, Plan("dds", steps=2)) for one in (scan, partial))
    assert whole.phase is None and whole.posed is whole.problem and HELD not in whole.notes
    assert isinstance(half.posed.operator, SmoothPhase) and HELD in half.notes
    assert any("partial Fourier" in note for note in half.notes)
    assert prepare(partial, Plan("dds", steps=2, phase="free")).phase is None
    assert prepare(scan, Plan("dds", steps=2, phase="smooth")).phase is not None


def test_a_held_phase_is_nearer_to_the_truth(scan: Any, partial: Scan) -> None:
    truth = prepare(scan, Plan("zero-filled")).zero_filled
    errors = []
    for phase in ("free", "smooth"):
        plan = Plan("hqs", steps=8, phase=phase)
        (done,) = restore_slices([prepare(partial, plan)], Shrink(), plan)
        errors.append(float((done.restoration.samples - truth).abs().square().sum()))
        assert done.restoration.misfit.max() < 1.5  # of what was measured alone
    assert errors[1] < 0.9 * errors[0]


def test_where_it_cannot_be_held(partial: Scan) -> None:
    ready = prepare(partial, Plan("ddnm+", steps=2))
    assert ready.phase is None and "The phase of the image is free, as ddnm+ needs an exact spectrum." in ready.notes
    with pytest.raises(InputError, match=r"cannot be held .* as ddnm\+ needs an exact spectrum; leave `phase` out"):
        prepare(partial, Plan("ddnm+", steps=2, phase="smooth"))


def test_an_image_without_a_prior_that_holds_no_phase_says_so(scan: Any, partial: Scan) -> None:
    ready = prepare(partial, Plan("zero-filled"))
    assert ready.phase is None and "The phase of the image is free, as zero-filled holds none." in ready.notes
    assert not any("The phase" in note for note in prepare(scan, Plan("zero-filled")).notes)
    with pytest.raises(InputError, match=r"cannot be held .* as zero-filled holds none; leave `phase` out"):
        prepare(partial, Plan("zero-filled", phase="smooth"))


@pytest.mark.parametrize("method", ["cg-sense", "tv", "l1-wavelet"])
def test_methods_without_a_prior_hold_it(scan: Any, partial: Scan, method: str) -> None:
    truth = prepare(scan, Plan("zero-filled")).zero_filled
    errors = []
    for phase in ("free", "auto"):
        plan = Plan(method, {} if method == "cg-sense" else {"iterations": 40}, weight=1e-3, phase=phase)
        ready = prepare(partial, plan)
        assert (HELD in ready.notes) == (phase == "auto")
        (done,) = restore_slices([ready], Shrink(), plan)
        errors.append(float((done.restoration.samples - truth).abs().square().sum()))
    assert errors[1] < 0.95 * errors[0]
