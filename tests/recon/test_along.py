"""A slice that was acquired along a trajectory: made ready, restored, and refused where that cannot be."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.operators import full
from helpers.phantom import folded, head_and_maps
from helpers.pretend_device import pretending
from helpers.ready import Shrink
from torch import Tensor

from medrestore.baselines import L1Wavelet
from medrestore.consistency import unexplained
from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.io import Scan
from medrestore.mri import points_of, radial, spiral
from medrestore.operators import NonCartesianSense, NonCartesianSoftSense, Sense, SmoothPhase
from medrestore.problem import Problem
from medrestore.recon import along
from medrestore.recon.along import virtual_coils
from medrestore.recon.checks import check_noise, check_plan
from medrestore.recon.held_out import error, parts, without
from medrestore.recon.phase import HELD
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared, reconstructed
from medrestore.recon.restoring import restore_slice, restore_slices
from medrestore.recon.thermal import Whitened
from medrestore.recon.weight import chosen_weight

SIZE, NOISE = (48, 44), 0.01
PLAN = Plan("dds", steps=3)


def scan(trajectory: Tensor, **changes: Any) -> Scan:
    image, maps, random = head_and_maps(SIZE, 6, 0)
    y = NonCartesianSense(maps, trajectory, full(trajectory))(image.to(torch.complex64))
    y = y + NOISE * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    one = Scan("s", 0, y, full(trajectory), None, None, image[0, 0].abs(), SIZE, None, None, trajectory, SIZE)
    return replace(one, **changes)


SPOKES, SPIRAL = radial(32, SIZE), spiral(8, SIZE)


@pytest.fixture(scope="module")
def ready() -> Prepared:
    return prepare(scan(SPOKES), PLAN)


def test_what_is_estimated(ready: Prepared) -> None:
    assert isinstance(ready.sense, NonCartesianSense) and ready.sense.shape == SIZE
    assert ready.kspace.shape == (1, ready.sense.maps.shape[1], 32, 96)
    assert 0.8 * NOISE < float(ready.problem.sigma) < 2 * NOISE and "readout" in ready.noise_source
    assert ready.sampling.mask.shape == SIZE and 1 < ready.sampling.acceleration < 4
    assert ready.data_step.chosen == "conjugate gradients"
    norm = ready.sense.maps.abs().square().sum(1)
    torch.testing.assert_close(norm[norm > 0], torch.ones_like(norm[norm > 0]))


@pytest.mark.parametrize("trajectory", [SPOKES, SPIRAL])
@pytest.mark.parametrize(("method", "better"), [("zero-filled", 0.75), ("cg-sense", 0.5), ("l1-wavelet", 0.4), ("tv", 0.4)])
def test_classical_methods(trajectory: Tensor, method: str, better: float) -> None:
    plan = Plan(method, {} if method in ("zero-filled", "cg-sense") else {"iterations": 40}, weight=None)
    one = prepare(scan(trajectory), plan)
    shown = one.shown(reconstructed(plan.baseline, one)[0]).abs()
    assert one.reference is not None
    assert float((shown - one.reference).norm() / one.reference.norm()) < better


@pytest.mark.parametrize("trajectory", [SPOKES, SPIRAL])
def test_l1_wavelet_reaches_its_minimum(trajectory: Tensor) -> None:
    one = prepare(scan(trajectory), Plan("cg-sense", weight=1e-2))
    assert isinstance(one.sense, NonCartesianSense)
    found, best = (L1Wavelet(1e-2, iterations=count).along(one.sense, one.kspace) for count in (100, 1200))
    assert float((found - best).norm() / best.norm()) < 0.03


def test_restored_as_alone_and_together(ready: Prepared) -> None:
    check_plan(ready, Shrink(), PLAN)
    check_noise(ready, PLAN)
    alone = restore_slice(ready, Shrink(), PLAN, slice_index=1)
    _, second = restore_slices([ready, prepare(scan(SPOKES), PLAN)], Shrink(), PLAN)
    torch.testing.assert_close(alone.image, second.image, rtol=1e-3, atol=1e-4)
    assert alone.image.shape == SIZE and 0.5 < float(alone.restoration.misfit) < 2


def test_points_of_the_grid_are_a_cartesian_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same samples as points and as a mask give the same image, to the precision of the transform and of the maps."""
    monkeypatch.setattr(along, "LOST", 0.0)  # as many coils
    mask = torch.zeros(1, SIZE[1])
    mask[0, ::2] = mask[0, 12:32] = 1
    image, maps, random = head_and_maps(SIZE, 6, 0)
    y = Sense(maps, mask)(image.to(torch.complex64))
    y = y + NOISE * mask * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    t = points_of(mask, SIZE)
    readouts = y[..., mask[0] > 0].mT.contiguous()
    plan = replace(PLAN, noise_std=NOISE)
    lines = prepare(Scan("s", 0, y, mask, None, None, None, SIZE, None, None), plan, maps=maps)
    points = prepare(Scan("s", 0, readouts, full(t), None, None, None, SIZE, None, None, t, SIZE), plan, maps=maps)
    assert torch.equal(points.sampling.mask, mask.expand(SIZE))
    assert points.sense.maps.shape == lines.sense.maps.shape
    a, b = (reconstructed(Plan("cg-sense", weight=0.01).baseline, one) for one in (lines, points))
    assert float((a - b).norm() / a.norm()) < 1e-3
    one, two = (restore_slice(each, Shrink(), plan).image for each in (lines, points))
    assert float((one - two).norm() / one.norm()) < 0.02


def test_readouts_are_held_back(ready: Prepared) -> None:
    first, second = parts(ready.sense, 0, 2)
    assert first.shape == (32, 96) and not bool((first * second).any())
    rows = first.any(1)
    assert 3 <= int(rows.sum()) <= 6 and bool((first[rows][:, :20] == 1).all()) and not bool(first[:, 48].any())
    few = parts(NonCartesianSense(ready.sense.maps, SPIRAL, full(SPIRAL)), 0, 2)
    assert len(few) == 2 and int(few[0].any(1).sum()) > 1
    kept = without(ready, first, Plan())
    assert not bool((first * kept.kspace).any()) and not bool((first * kept.problem.operator.mask).any())
    assert 0 < error(ready, Shrink(), Plan("cg-sense", weight=0.01), [first, second]) < 1


def test_the_weight_is_chosen(ready: Prepared) -> None:
    found = chosen_weight(ready, Shrink(), Plan("cg-sense"))
    assert found.weight is not None and len(found.errors) > 1


def test_given_maps_and_a_noise_scan() -> None:
    _, maps, random = head_and_maps(SIZE, 6, 0)
    noise = NOISE * torch.view_as_complex(torch.randn(6, 400, 2, generator=random))
    one = prepare(scan(SPOKES, noise=noise), PLAN, maps=maps)
    assert one.noise_source.startswith("the noise scan")
    with pytest.raises(InputError, match="coil maps are"):
        prepare(scan(SPOKES), PLAN, maps=maps[..., :-1])


def test_a_dead_coil_and_missing_samples_are_left_out() -> None:
    whole = scan(SPOKES)
    dead, mask = whole.kspace.clone(), full(SPOKES)
    dead[0, 1] = 0
    assert "coil 1 (counted from 0), left out" in prepare(replace(whole, kspace=dead), PLAN).notes[0]
    mask[3:6, 50:] = 0
    short = prepare(replace(whole, kspace=whole.kspace * mask, mask=mask), PLAN)
    assert int(short.problem.count) == 2 * short.sense.maps.shape[1] * int(mask.sum())
    assert float(short.problem.sigma) < 2 * NOISE


def test_virtual_coils_keep_the_signal_and_the_noise() -> None:
    y = scan(SPOKES).kspace
    double = torch.cat([y, y], 1) / 2**0.5
    white = Whitened(double, None, None, torch.eye(12, dtype=torch.complex64), None)
    fewer, (note,) = virtual_coils(white, 0.0)
    assert fewer.kspace.shape[1] <= 6 and f"12 coils are taken together to {fewer.kspace.shape[1]} virtual ones" in note
    assert float(fewer.kspace.norm() / double.norm()) > 0.999
    back = torch.einsum("cv,bvrs->bcrs", fewer.unmix, fewer.kspace)
    assert float((back - double).norm() / double.norm()) < 0.04
    one = Whitened(y[:, :1], None, None, torch.eye(1, dtype=torch.complex64), None)
    assert virtual_coils(one, 0.0) == (one, ())


@pytest.mark.parametrize(("changes", "plan", "sentence"), [
    ({}, replace(PLAN, undersample=Undersampling("uniform1d", 2, 8)), "takes lines out of Cartesian scans alone"),
    ({"trajectory": SPOKES + 100}, PLAN, "no sample at the centre of k-space"),
    ({"mask": 0 * full(SPOKES)}, PLAN, "marks no line as sampled"),
    ({}, Plan("zero-filled", phase="smooth"), "cannot be held .* as zero-filled holds none; leave `phase` out"),
])
def test_what_cannot_be_prepared(changes: dict[str, Any], plan: Plan, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        prepare(replace(scan(SPOKES), **changes), plan)


@pytest.mark.parametrize("method", ["hqs", "cg-sense", "tv", "l1-wavelet"])
def test_two_sets_of_maps(method: str) -> None:
    """Of an object that is not wrapped the second set explains little: the image is that of one set, but for noise."""
    plan = Plan(method, {} if method in ("hqs", "cg-sense") else {"iterations": 20}, weight=None if method == "hqs" else 0.01,
                steps=6, map_sets=2)
    two, one = prepare(scan(SPOKES), plan), prepare(scan(SPOKES), replace(plan, map_sets=1))
    assert isinstance(two.sense, NonCartesianSoftSense) and two.sense.sets == 2 and isinstance(one.sense, NonCartesianSense)
    assert any("Two sets of coil maps" in note for note in two.notes)
    check_plan(two, Shrink(), plan)
    image, expected = (restore_slice(each, Shrink(), plan).image.abs() for each in (two, one))
    assert image.shape == SIZE and float((image - expected).norm() / expected.norm()) < 0.2
    assert 0 < error(two, Shrink(), plan, parts(two.sense, 0, 1)) < 1


def test_an_object_that_wraps_shows_two_sets() -> None:
    """Lines of a field of view of half the columns, as points: as a Cartesian scan shows them."""
    image, maps, random = head_and_maps((48, 64), 6, 0)
    narrow = (48, 40)
    coils = folded(maps * image, narrow[1]).to(torch.complex64)
    truth, y = torch.linalg.vector_norm(coils, dim=1)[0], fft2c(coils)
    y = y + NOISE * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    t = points_of(torch.ones(1, narrow[1]), narrow)
    wrapped = Scan("s", 0, y.mT.contiguous(), full(t), None, None, None, narrow, None, None, t, narrow)
    plan = Plan("cg-sense", weight=0.01, noise_std=NOISE)
    found = [prepare(wrapped, replace(plan, map_sets=sets)) for sets in ("auto", 1)]
    assert [one.sense.sets for one in found] == [2, 1]
    errors = [float((restore_slice(one, Shrink(), plan).image.abs() - truth).norm()) for one in found]
    assert errors[0] < 0.5 * errors[1]


def test_a_small_centre_shows_no_second_set() -> None:
    """From a centre of 12 x 12 samples or less one set explains too little to be told from a head that wraps."""
    image, maps, random = head_and_maps((48, 64), 6, 0)
    coils = folded(maps * image, 40).to(torch.complex64)
    y = fft2c(coils)
    y = y + NOISE * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    found = {}
    for side in (12, 24):
        lines, columns = torch.arange(48), torch.arange(40)
        inside = ((lines - 24).abs()[:, None] < side / 2) & ((columns - 20).abs() < side / 2)
        mask = (inside | ((lines[:, None] + columns) % 2 == 0)).float()
        t = points_of(torch.ones(1, 40), (48, 40))
        one = Scan("s", 0, (y * mask).mT.contiguous(), mask.mT.contiguous(), None, None, None, (48, 40), None, None, t, (48, 40))
        found[side] = prepare(one, Plan("cg-sense", weight=0.01, noise_std=NOISE)).sense.sets
    assert found == {12: 1, 24: 2}


def test_maps_are_refined_from_all_samples() -> None:
    """Given maps that are wrong leave more unexplained than the noise."""
    _, maps, _ = head_and_maps(SIZE, 6, 0)
    turned = torch.sin(torch.arange(SIZE[0]) / 5)[:, None] * torch.arange(6)[:, None, None].remainder(3)
    wrong = maps * torch.exp(0.4j * turned)
    plain, mended = (prepare(scan(SPOKES), replace(PLAN, refine_maps=asked), maps=wrong) for asked in (False, True))
    assert any("The coil maps were estimated together with the image" in note for note in mended.notes)
    left = [unexplained(Problem(one.sense, one.kspace, NOISE)) for one in (plain, mended)]
    assert left[1] < 0.5 * left[0]


def test_the_phase_is_held_where_half_of_k_space_was_left_out() -> None:
    """Spokes that begin a little before the centre: one side of the columns has none."""
    angles = torch.linspace(-1.57, 1.57, 80)
    reach = torch.linspace(-8, 22, 120)
    half = torch.stack([reach * angles.sin()[:, None], reach * angles.cos()[:, None]], -1)
    image, _, _ = head_and_maps(SIZE, 6, 0)
    errors = {}
    for phase in ("auto", "free"):
        plan = Plan("cg-sense", weight=0.003, noise_std=NOISE, phase=phase)
        one = prepare(scan(half), plan)
        assert (one.phase is not None) == (phase == "auto") == (HELD in one.notes)
        assert any("One side of k-space was left out (partial Fourier)" in note for note in one.notes)
        done = restore_slice(one, Shrink(), plan)
        errors[phase] = float((done.image.abs() - image[0, 0].abs()).norm())
    assert errors["auto"] < 0.9 * errors["free"]
    diffusion = prepare(scan(half), replace(PLAN, noise_std=NOISE))
    assert isinstance(diffusion.posed.operator, SmoothPhase)
    assert float(restore_slice(diffusion, Shrink(), PLAN).restoration.misfit.max()) < 2
    assert prepare(scan(SPOKES), PLAN).phase is None


def test_methods_that_need_the_spectrum(ready: Prepared) -> None:
    plan = Plan("ddrm", steps=3)
    with pytest.raises(InputError, match="needs the exact spectrum of the scan, and it was acquired along a trajectory"):
        check_plan(ready, Shrink(), plan)


def test_on_a_device(ready: Prepared) -> None:
    with pretending() as device:
        there = prepare(scan(SPOKES), PLAN, device=device)
        assert there.problem.y.device == there.gain.device == device
        image = restore_slice(there, Shrink(), PLAN).image
    torch.testing.assert_close(image, restore_slice(ready, Shrink(), PLAN).image, rtol=1e-2, atol=1e-2)
