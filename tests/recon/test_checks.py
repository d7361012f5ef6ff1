"""What does not go together is refused before any work."""

from dataclasses import replace
from typing import Any

import pytest
from helpers.ready import PLAN, Shrink, exact

from medrestore.errors import InputError
from medrestore.recon.checks import check_noise, check_plan, check_prior
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.settings import FieldError


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


def test_priors_of_other_images() -> None:
    with pytest.raises(InputError, match="grey is a prior of 1 channels, and a complex image needs one of two"):
        check_prior(1, "grey", Plan())
