"""Coil maps: given, estimated, from separate lines, refined."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.phantom import folded, head_and_maps
from helpers.ready import PLAN, Shrink
from helpers.scans import NOISE, SHAPE

from medrestore.consistency import unexplained
from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.io import Scan
from medrestore.mri import sampling_mask
from medrestore.operators import Sense, SoftSense
from medrestore.problem import Problem
from medrestore.recon.checks import check_plan
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.recon.restoring import restore_slices


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


def narrow(width: int, noise_std: float) -> tuple[Scan, torch.Tensor]:
    """An undersampled scan of a head of 60 columns, and the root-sum-of-squares of its coils."""
    image, maps, generator = head_and_maps((48, 60), 8, seed=1)
    coils = folded(maps * image, width)
    mask = sampling_mask("uniform1d", (48, width), 2, acs=16, seed=0).mask
    noise = torch.view_as_complex(torch.randn(*coils.shape, 2, generator=generator)) * noise_std
    kspace = mask * (fft2c(coils) + noise)
    scan = Scan("scan", 0, kspace, mask, None, None, None, (48, width), None, None)
    return scan, coils.abs().square().sum(1).sqrt()[0]


@pytest.fixture(scope="module")
def wrapped() -> tuple[Scan, torch.Tensor]:
    """A scan whose field of view is narrower than the head."""
    return narrow(32, 0.005)


def test_a_wrapped_head_takes_two_sets_of_maps(wrapped: tuple[Scan, torch.Tensor]) -> None:
    scan, truth = wrapped
    one, two = (prepare(scan, Plan("cg-sense", weight=1e-3, map_sets=sets)) for sets in (1, "auto"))
    assert isinstance(one.sense, Sense) and isinstance(two.sense, SoftSense) and len(two.gain) == 2
    assert "Two sets of coil maps" in " ".join(two.notes) and "Two sets" not in " ".join(one.notes)
    for name, gained in (("cg-sense", 6), ("l1-wavelet", 6), ("tv", 6), ("zero-filled", -1)):
        plan = Plan(name, weight=None if name == "zero-filled" else 1e-3)
        errors = [(restore_slices([ready], None, plan)[0].image.abs() - truth).square().mean() for ready in (one, two)]
        assert 10 * torch.log10(errors[0] / errors[1]) > gained, name


def test_where_noise_hides_that_a_head_wraps_two_sets_may_be_asked_for() -> None:
    """What one set leaves unexplained is hardly more than the noise then, and noise alone can look so too."""
    scan, truth = narrow(32, 0.02)
    errors = []
    for sets in ("auto", 2):
        plan = Plan("cg-sense", weight=1e-2, map_sets=sets)
        ready = prepare(scan, plan)
        assert ready.sense.sets == (2 if sets == 2 else 1)
        errors.append((restore_slices([ready], None, plan)[0].image.abs() - truth).square().mean())
    assert 10 * torch.log10(errors[0] / errors[1]) > 1


@pytest.mark.parametrize("width", [44, 60])
def test_noise_does_not_make_a_second_set(width: int) -> None:
    """Where hardly anything wraps, or nothing, a second set explains noise alone."""
    assert prepare(narrow(width, 0.08)[0], Plan("cg-sense")).sense.sets == 1


def test_what_is_shown_of_two_sets_is_the_root_of_their_squares(wrapped: tuple[Scan, torch.Tensor]) -> None:
    ready = prepare(wrapped[0], Plan("cg-sense", weight=1e-3))
    images = torch.randn(3, 2, 48, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    shown = ready.shown(images)
    torch.testing.assert_close(shown.abs(), (ready.gain[:, 0] * images).abs().square().sum(1).sqrt())
    torch.testing.assert_close(ready.shown(images.abs()), shown.abs())


def test_a_diffusion_method_restores_an_image_for_each_set(wrapped: tuple[Scan, torch.Tensor]) -> None:
    plan = Plan("dds", steps=2, samples=2)
    ready = prepare(wrapped[0], plan)
    (done,) = restore_slices([ready], Shrink(), plan)
    assert done.restoration.samples.shape == (2, 2, 48, 32) and done.samples.shape == (2, 48, 32)
    with pytest.raises(InputError, match="DDNM needs the exact spectrum of the scan, and there are several sets of coil maps"):
        check_plan(ready, Shrink(), Plan("ddnm", steps=2))


def test_one_set_where_nothing_wraps_and_where_few_coils_cannot_tell(scan: Any, wrapped: tuple[Scan, torch.Tensor]) -> None:
    assert len(prepare(scan, PLAN).sense.maps) == 1
    few = replace(wrapped[0], kspace=wrapped[0].kspace[:, :3])
    assert len(prepare(few, Plan("cg-sense")).sense.maps) == 1
    with pytest.raises(InputError, match="2 sets of coil maps need as many coils, and there is 1"):
        prepare(replace(few, kspace=few.kspace[:, :1]), Plan("cg-sense", map_sets=2))


def test_two_sets_are_not_refined(wrapped: tuple[Scan, torch.Tensor]) -> None:
    ready = prepare(wrapped[0], Plan("cg-sense", refine_maps=True, map_sets=2))
    assert "The coil maps were not refined: there are several sets." in ready.notes
