"""A slice made ready and restored in Python: what is estimated, what is given, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal
from helpers.phantom import head_and_maps
from helpers.pretend_device import pretending
from helpers.scans import NOISE, SHAPE, kspace
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.consistency import unexplained
from medrestore.errors import InputError
from medrestore.io import Scan, read_kspace
from medrestore.operators import Sense, SpectralSense
from medrestore.priors import Prior
from medrestore.problem import Problem
from medrestore.recon.noise_model import NoiseProfile
from medrestore.recon.plan import Plan, Reading, Undersampling
from medrestore.recon.preparation import (
    CG_SENSE,
    Prepared,
    check_noise,
    check_plan,
    check_prior,
    open_scan,
    prepare,
    restore_slice,
    restore_slices,
    score,
)
from medrestore.settings import FieldError

PLAN = Plan("diffpir", steps=2, undersample=Undersampling("uniform1d", 2, 16))


class Shrink(Prior):
    """The posterior mean under N(0, 1)."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x / (1 + sigma**2)


@pytest.fixture
def scan(tmp_path: Path) -> Any:
    np.save(tmp_path / "scan.npy", kspace()[0])
    with read_kspace(tmp_path / "scan.npy") as file:
        yield file[0]


def test_what_is_estimated_and_what_is_given(scan: Any) -> None:
    ready = prepare(scan, PLAN)
    assert isinstance(ready.problem.operator, Sense) and ready.sense is ready.problem.operator  # two steps do not pay for more
    assert ready.sampling.kind == "uniform1d" and ready.reference is not None and ready.reference.shape == SHAPE
    assert ready.noise_source != "given" and 0.3 * NOISE < ready.problem.sigma < 30 * NOISE
    given = prepare(scan, replace(PLAN, method="ddnm+", noise_std=0.25))
    assert given.problem.sigma == 0.25 and given.noise_source == "given"
    assert isinstance(given.problem.operator, SpectralSense) and isinstance(given.sense, Sense)
    torch.testing.assert_close(given.sense.maps, ready.sense.maps)


@pytest.mark.parametrize(("mask", "kspace", "sentence"), [
    (0, 1, "the mask of slice 0 marks no line as sampled; correct the mask"), (1, 0, "the k-space of slice 0 is zero everywhere"),
])
@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, undersample=None), replace(PLAN, noise_std=0.1)])
def test_slices_of_which_nothing_was_sampled(scan: Any, plan: Plan, mask: int, kspace: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        prepare(replace(scan, mask=mask * scan.mask, kspace=kspace * scan.kspace), plan)


@pytest.mark.parametrize("given", [0.0, 1e-4])
def test_a_given_noise_level_is_held_against_what_the_maps_leave(scan: Any, given: float) -> None:
    """0 made a method fit the error of estimated maps, for 15 dB less."""
    ready = prepare(scan, replace(PLAN, noise_std=given))
    assert ready.problem.sigma == pytest.approx(unexplained(Problem(ready.sense, ready.kspace)), rel=0.02)
    assert NOISE / 2 < ready.problem.sigma < 3 * NOISE
    assert ready.noise_source == (f"given, raised from {given:.3g} to what the coil maps leave unexplained")


def exact(plan: Plan) -> Prepared:
    """Data without noise, their true maps given."""
    image, maps, _ = head_and_maps(SHAPE, 4, 0)
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    full = torch.ones(1, SHAPE[1])
    data = Sense(maps, full)(image)
    scan = Scan("exact", 0, data, full, None, None, None, SHAPE, None, None)
    return prepare(scan, replace(plan, noise_std=0.0), maps=maps)


@pytest.mark.parametrize("kind", ["uniform1d", "gaussian2d"])
@pytest.mark.parametrize("method", ["diffpir", "hqs", "ddnm"])
def test_data_without_noise_are_exact_where_the_maps_explain_them(kind: str, method: str) -> None:
    if (kind, method) != ("gaussian2d", "ddnm"):
        ready = exact(replace(PLAN, method=method, undersample=Undersampling(kind, 2, 16)))
        assert ready.problem.sigma == 0 and ready.noise_source == "given"


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


def test_maps_are_scaled_to_unit_norm(scan: Any) -> None:
    maps = 3 * prepare(scan, PLAN).sense.maps
    ready = prepare(scan, PLAN, maps=maps)
    norm = ready.sense.maps.abs().square().sum(1).sqrt()
    torch.testing.assert_close(norm[norm > 0], torch.ones_like(norm[norm > 0]))
    with pytest.raises(InputError, match=r"coil maps are \(3, 48, 40\) and the k-space is \(4, 48, 40\)"):
        prepare(scan, PLAN, maps=maps[:, :3])


def test_slices_are_restored_as_alone(scan: Any) -> None:
    ready = prepare(scan, PLAN)
    alone = restore_slice(ready, Shrink(), PLAN, slice_index=1)
    _, second = restore_slices([ready, ready], Shrink(), PLAN)
    assert alone.restoration.seeds == second.restoration.seeds == (100_000,)
    torch.testing.assert_close(alone.image, second.image, rtol=1e-4, atol=1e-5)
    assert alone.image.shape == SHAPE and alone.samples.shape == (1, *SHAPE) and not alone.std.any()
    assert score([alone.cg_sense.abs()], [alone.image.abs()]).psnr > score([alone.zero_filled.abs()], [alone.image.abs()]).psnr


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


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"sigma_max": 0.005}, "sigma_max is 0.005, not above the least noise level of the prior, 0.01"),
    ({"start_sigma": 99.0}, "start_sigma is 99, outside the noise levels of the prior, 0.01 to 40"),
])
def test_levels_that_the_prior_does_not_know(scan: Any, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(FieldError) as caught:
        check_plan(prepare(scan, PLAN), Shrink(), replace(PLAN, **changes))
    assert f"{caught.value.field} {caught.value.what}" == sentence


def test_methods_that_need_the_spectrum(scan: Any) -> None:
    plan = replace(PLAN, method="ddnm", spectral_gb=0.0)
    sentence = r"DDNM needs the exact spectrum .* over the limit of `spectral_gb`, 0; hqs, dds, diffpir, dps, .* would do"
    with pytest.raises(InputError, match=sentence):
        check_plan(prepare(scan, plan), Shrink(), plan)


@pytest.mark.parametrize("method", ["ddnm", "repaint"])
def test_methods_for_data_without_noise(scan: Any, method: str) -> None:
    plan = replace(PLAN, method=method)
    with pytest.raises(InputError, match=r"takes the data as free of noise, and these have noise of std 0\.0\d+ \("):
        check_noise(prepare(scan, plan), plan)
    known = replace(plan, noise_std=0.0)
    with pytest.raises(InputError, match=r"given, (raised from 0 to|with) what the coil maps leave unexplained"):
        check_noise(prepare(scan, known), known)
    check_noise(exact(plan), plan)
    for other in ("hqs", "dds", "diffpir", "ddnm+", "ddrm", "dps"):
        check_noise(prepare(scan, replace(PLAN, method=other)), replace(PLAN, method=other))


def test_an_image_as_shown_lies_where_the_slice_is(scan: Any) -> None:
    with pretending() as device:
        ready = prepare(scan, PLAN, device=device)
        there = ready.shown(ready.problem.back_projected[0, 0])
        assert there.device == ready.gain.device == device
        here = prepare(scan, PLAN)
        torch.testing.assert_close(there.cpu(), here.shown(here.problem.back_projected[0, 0]), rtol=1e-4, atol=1e-5)


def test_priors_of_other_images() -> None:
    with pytest.raises(InputError, match="grey is a prior of 1 channels, and a complex image needs one of two"):
        check_prior(1, "grey", Plan())


def test_maps_of_another_scan(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", kspace()[0])
    np.save(tmp_path / "maps.npy", np.ones((1, 3, *SHAPE), np.complex64))
    with (pytest.raises(InputError, match=r"maps\.npy holds maps of shape \(1, 3, 48, 40\)"),
          open_scan(tmp_path / "scan.npy", replace(PLAN, maps=str(tmp_path / "maps.npy")), Reading())):
        pass


def noisy(scan: Any, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return NOISE * torch.view_as_complex(torch.randn(scan.kspace.shape[1], 500, 2, generator=generator))


@pytest.mark.parametrize("dead", ["signal", "noise", "both"])
@pytest.mark.parametrize("given", [False, True])
def test_a_dead_coil_is_left_out(scan: Any, dead: str, given: bool) -> None:
    """With a noise scan, which cannot be inverted then, without one, and with given maps, which do not know of it."""
    maps = prepare(scan, PLAN).sense.maps if given else None
    kspace, noise = scan.kspace.clone(), noisy(scan)
    if dead != "noise":
        kspace[0, 2] = 0
    if dead != "signal":
        noise[2] = 0
    others = [0, 1, 3]
    for with_noise in (True, False) if dead != "noise" else (True,):
        broken = replace(scan, kspace=kspace, noise=noise if with_noise else None)
        without = replace(scan, kspace=scan.kspace[:, others], noise=noise[others] if with_noise else None)
        ready = prepare(broken, PLAN, maps=maps)
        expected = prepare(without, PLAN, maps=None if maps is None else maps[:, others])
        assert ready.notes == ("No signal or no noise comes from coil 2 (counted from 0), left out.",) and expected.notes == ()
        assert ready.problem.sigma == expected.problem.sigma and torch.equal(ready.problem.y, expected.problem.y)
        torch.testing.assert_close(ready.sense.maps, expected.sense.maps)


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


def test_a_noise_scan_that_is_too_short_can_be_left_out(tmp_path: Path, scan: Any) -> None:
    with pytest.raises(InputError, match=r"leave it out by `noise_scan` false"):
        prepare(replace(scan, noise=noisy(scan)[:, :3]), PLAN)
    alike = noisy(scan)
    alike[1] = alike[0]
    with pytest.raises(InputError, match=r"two coils are one.*leave the noise scan out by `noise_scan` false"):
        prepare(replace(scan, noise=alike), PLAN)
    np.save(tmp_path / "s.npy", kspace()[0])
    with open_scan(tmp_path / "s.npy", replace(PLAN, noise_scan=False), Reading()) as (file, _):
        assert not file.request.noise_scan and prepare(file[0], PLAN).noise_source != "the noise scan"


def test_maps_look_like_images_and_are_read_all_the_same(tmp_path: Path) -> None:
    data = kspace()[0]
    np.save(tmp_path / "scan.npy", data)
    np.save(tmp_path / "maps.npy", np.ones(data.shape, np.float32))  # real, as those of a birdcage may be
    with open_scan(tmp_path / "scan.npy", replace(PLAN, maps=str(tmp_path / "maps.npy")), Reading()) as (_, maps):
        assert maps is not None and torch.equal(maps[0].kspace, torch.ones(1, 4, *SHAPE, dtype=torch.complex64))


@pytest.mark.parametrize(("plan", "weighted"), [
    (PLAN, True), (replace(PLAN, options={"cg_steps": 5}), False), (Plan("tv", undersample=PLAN.undersample), True),
])
def test_samples_keep_their_weights_where_data_steps_are_counted(plan: Plan, weighted: bool, scan: Any,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """A few conjugate-gradient steps do not reach samples of small weight: 5 of them left 11 dB where 60 had 26."""
    monkeypatch.setattr("medrestore.recon.preparation.noise_profile", lambda problem, along_axis: NoiseProfile(
        0.01, 0.1 * problem.operator.mask, 0.1))
    ready = prepare(scan, plan)
    assert (float(ready.problem.operator.mask.max()) == pytest.approx(0.1)) is weighted
    assert float(ready.sense.mask.max()) == 1


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


def test_noise_alone_is_said() -> None:
    def prepared(signal: float) -> tuple[str, ...]:
        noise = torch.from_numpy(complex_normal(5, 1, 4, 24, 24))
        noise[..., 12, 12] += signal
        noise[..., 11:14, 11:14] *= 1 + signal
        scan = Scan("s", 0, noise, torch.ones(1, 24), None, None, None, (24, 24), None, None)
        return prepare(scan, Plan(noise_std=1.0), maps=torch.full((1, 4, 24, 24), 0.5 + 0j)).notes

    assert "as in noise alone" in prepared(0.0)[-1] and not prepared(9.0)
