"""Whether a prior knows a scan, by samples that are held back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.scans import kspace
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.errors import InputError
from medrestore.io import read_kspace
from medrestore.priors import Prior
from medrestore.recon.fit import CALLS, Fit, calls, measured_fit, warning
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared

PLAN = Plan(steps=20, undersample=Undersampling("gaussian2d", 2, 8))


class Constant(Prior):
    """Believes in one image, whatever it sees."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()
    calls = 0

    def __init__(self, image: Tensor | None = None) -> None:
        self.image = image

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.calls += 1
        return torch.full_like(x, 3.0) if self.image is None else self.image.expand_as(x)


@pytest.fixture
def ready(tmp_path: Any) -> Callable[[Plan], Prepared]:
    np.save(tmp_path / "scan.npy", kspace()[0])

    def prepared(plan: Plan) -> Prepared:
        with read_kspace(tmp_path / "scan.npy") as file:
            return prepare(file[0], plan)

    return prepared


def test_a_prior_of_other_images_is_found_and_the_right_one_is_not(ready: Any) -> None:
    prepared = ready(PLAN)
    wrong, called = Constant(), []
    found = measured_fit(prepared, wrong, PLAN, on_call=lambda: called.append(1))
    assert set(found.errors) == {"hqs", "cg-sense", "l1-wavelet"} and len(called) == wrong.calls == CALLS == calls(PLAN)
    assert found.better in ("cg-sense", "l1-wavelet") and found == measured_fit(prepared, Constant(), PLAN)
    full = ready(Plan())  # whose image is the truth, but for noise
    from medrestore.restoration import codec_for

    truth = codec_for(wrong, prepared.problem).encode(full.zero_filled)
    known = measured_fit(prepared, Constant(truth), PLAN)
    assert known.better is None and known.errors["hqs"] < found.errors["hqs"]


@pytest.mark.parametrize(("own", "better"), [(0.1, None), (0.21, None), (0.23, "l1-wavelet"), (2.0, "l1-wavelet")])
def test_only_a_clearly_larger_error_is_worth_a_warning(own: float, better: str | None) -> None:
    fit = Fit("dds", {"dds": own, "cg-sense": 0.4, "l1-wavelet": 0.2})
    assert fit.better == better
    told = warning(fit, PLAN)
    assert (told is None) == (better is None)
    if told is not None:
        assert "`fallback` l1-wavelet" in told and "\n" not in told
        assert warning(fit, Plan(fallback="tv")).endswith("settings do not suit it, and tv takes over")  # type: ignore[union-attr]


def test_what_it_costs_and_what_says_nothing() -> None:
    assert calls(Plan()) == CALLS and calls(Plan(steps=5)) == 5
    assert Fit().better is None and warning(Fit(), PLAN) is None
    with pytest.raises(InputError, match="fallback goes with a diffusion method, and tv is none"):
        Plan("tv", fallback="tv")


def test_a_scan_of_which_nothing_can_be_held_back_is_not_judged(ready: Any) -> None:
    full = Plan()
    prior = Constant()
    assert measured_fit(ready(full), prior, full) == Fit() and prior.calls == 0
