"""A slice made ready and restored in Python: what is estimated, what is given, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.scans import NOISE, SHAPE, kspace
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.errors import InputError
from medrestore.io import read_kspace
from medrestore.operators import Sense, SpectralSense
from medrestore.priors import Prior
from medrestore.recon.plan import Plan, Reading, Undersampling
from medrestore.recon.preparation import check_plan, check_prior, open_scan, prepare, restore_slice, restore_slices, score
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
    given = prepare(scan, replace(PLAN, noise_std=0.25, steps=50))
    assert given.problem.sigma == 0.25 and given.noise_source == "given"
    assert isinstance(given.problem.operator, SpectralSense) and isinstance(given.sense, Sense)
    torch.testing.assert_close(given.sense.maps, ready.sense.maps)


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
    sentence = r"DDNM needs the exact spectrum .* over the limit of `spectral_gb`, 0; hqs, dds, diffpir and dps would do"
    with pytest.raises(InputError, match=sentence):
        check_plan(prepare(scan, plan), Shrink(), plan)


def test_priors_of_other_images() -> None:
    with pytest.raises(InputError, match="grey is a prior of 1 channels, and a complex image needs one of two"):
        check_prior(1, "grey")


def test_maps_of_another_scan(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", kspace()[0])
    np.save(tmp_path / "maps.npy", np.ones((1, 3, *SHAPE), np.complex64))
    with (pytest.raises(InputError, match=r"maps\.npy holds maps of shape \(1, 3, 48, 40\)"),
          open_scan(tmp_path / "scan.npy", replace(PLAN, maps=str(tmp_path / "maps.npy")), Reading())):
        pass
