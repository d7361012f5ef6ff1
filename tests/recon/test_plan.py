"""Plans of a reconstruction: what they refuse, in terms of the API, and what they stand for."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
from helpers.scans import fastmri, kspace
from torch import Tensor

import medrestore as mr
from medrestore.errors import InputError
from medrestore.levels import karras
from medrestore.methods import DDS, HQS, METHODS, SCANS, Method
from medrestore.mri.sampling import KINDS
from medrestore.priors import Prior
from medrestore.recon.classical import CLASSICAL
from medrestore.recon.files import Job, is_done
from medrestore.recon.plan import Machine, Plan, Undersampling, quality
from medrestore.settings import build, hints, plain


@pytest.mark.parametrize(("given", "sentence"), [
    ({"steps": 1}, "Plan: steps must be at least 2, got 1"),
    ({"steps": 2.5}, "Plan: steps must be a whole number, got 2.5"),
    ({"sigma_max": float("inf")}, "Plan: sigma_max must be above 0, got inf"),
    ({"start_sigma": 0}, "Plan: start_sigma must be above 0, got 0.0"),
    ({"noise_std": -1}, "Plan: noise_std must be at least 0, got -1.0"),
    ({"ladder": "rope"}, "Plan: ladder must be one of karras, ddpm, quadratic, got 'rope'"),
    ({"method": "ddim"}, "Plan: method must be one of " + ", ".join([*METHODS.offered(SCANS), *CLASSICAL])
     + ", got 'ddim'"),
    ({"method": "dds", "options": {"eta": -1}}, "Plan: options.eta must be at least 0, got -1.0"),
    ({"method": "dds", "options": {"gama": 1}}, "Plan: options.gama is no option; did you mean options.gamma?"),
    ({"method": DDS(), "options": {"eta": 1}}, "Plan: options go with the name of a method; give them to the object "),
    ({"samples": 3}, "Plan: samples must be 1 with hqs, which estimates the mean and draws no samples; take a `method` that "
                     "draws them, such as dds"),
    ({"adapt": True, "method": "tv"}, "Plan: adapt goes with a diffusion method, and tv is none; leave it out"),
    ({"adapt": True, "reference_image": "t1.npy"}, "Plan: adapt does not go with `reference_image`; leave one out"),
])
def test_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        Plan(**given)
    assert str(caught.value).startswith(sentence)


def test_bounds_hold_without_the_command_line() -> None:
    with pytest.raises(InputError, match="gamma must be above 0"):
        mr.DDS(gamma=-5)
    with pytest.raises(InputError, match="eta must be at least 0, got -1"):
        mr.DDS(eta=-1)
    with pytest.raises(InputError, match="Undersampling: accel must be at least 1"):
        Undersampling("uniform1d", 0.5)


def test_methods_by_name_and_by_object_are_the_same_plan() -> None:
    assert Plan(DDS(eta=1)) == Plan("dds", {"eta": 1}) == Plan("dds", {"eta": 1.0, "lam": 1})
    assert Plan("dds", {"cg_steps": 5}).sampler == DDS(cg_steps=5) and Plan().sampler == HQS()
    assert plain(Plan(sigma_max=5)) == plain(Plan(sigma_max=5.0))


@dataclass(frozen=True)
class Own(Method):
    """A method that no table lists."""

    share: float = 0.5

    def step(self, x: Tensor, sigma: float, sigma_next: float, **rest: Any) -> Tensor:
        return x


def test_a_method_of_ones_own() -> None:
    plan = Plan(Own(share=0.25))
    assert plan.method == f"{__name__}:Own" and plan.options == {"share": 0.25}
    assert replace(plan, steps=9).sampler == Own(0.25) and build(Plan, plain(plan), "") == plan


def test_the_kinds_of_sampling_are_those_there_are() -> None:
    assert get_args(hints(Undersampling)["kind"]) == tuple(KINDS)


def test_levels() -> None:
    class Known(Prior):
        channels, sigma_range = 2, (0.01, 3.0)

        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return x

    assert Plan(steps=4).levels(Known()) == karras(4, 3.0, 0.01)
    assert Plan(steps=4, start_sigma=0.5).sampled_levels(Known())[0] == 0.5


def test_quality() -> None:
    assert quality("fast", "hqs") == {"steps": 20, "samples": 1, "start_sigma": 0.5}
    assert quality("best", "hqs")["samples"] == 1 and quality("best", "dds")["samples"] == 4


def test_the_cache_of_maps() -> None:
    assert Machine().cache is None and str(Machine(maps_cache="~/a").cache).startswith("/")


def test_two_jobs_of_different_plans_are_not_each_others(bench: Any) -> None:
    """The fault of a hash that came from a hand-kept list: `is_done` was True for another method and other steps."""
    scan = fastmri(bench / "scan.h5", kspace()[0])
    out = bench.restored(scan)
    plan = Plan("diffpir", steps=2, prior=str(bench.prior))
    assert is_done(scan, out, Job.load(plan, Machine()))
    assert not is_done(scan, out, Job.load(replace(plan, method="dds", steps=9), Machine()))
    assert not is_done(scan, out, Job.load(replace(plan, steps=3), Machine()))


def test_importing_plans_loads_no_torch() -> None:
    code = "import sys; from medrestore.recon.plan import Plan; Plan(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_a_cache_in_a_home_that_nobody_knows_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert Machine(maps_cache="~/.cache/maps").cache is None
    assert str(Machine(maps_cache="/cache").cache) == "/cache"
