"""The plan of a fill: plain data, bounds in the class, and a key that every field changes."""

import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from helpers.frames import FieldPrior
from helpers.networks import save_classifier

from medrestore.errors import InputError
from medrestore.inpainting.job import Job
from medrestore.inpainting.plan import Plan
from medrestore.methods import DDNM, HQS, DDNMPlus, DiffPIR, Method
from medrestore.settings import build, plain

OTHERS: dict[str, Any] = {  # another value of every field
    "mask_means": "keep",
    "dataset": "dreaming",
    "method": "diffpir",
    "options": {"eta": 0.5},
    "steps": 26,
    "sigma_max": 41.0,
    "travel_length": 2,
    "travel_repeat": 2,
    "noise_std": 1.0,
    "window": 64,
    "shift": 32,
    "hole_values": (85, 170),
    "factor": 2,
    "samples": 2,
    "seed": 1,
    "start_sigma": 1.0,
    "grow": 1,
    "warm_start": 1.0,
    "temporal_fill": False,
    "feather": 3,
    "blur": 5,
    "bf16": False,
    "batch_size": 4,
    "label": 1,
    "classifier": "classifier",  # a folder that the test makes
    "guidance": 2.0,
}


def key(plan: Plan, fingerprint: str = "frames", **about: Any) -> str:
    return Job(plan, FieldPrior(), {"sha256": "weights", "card": {}, **about}).key(fingerprint)


@pytest.mark.parametrize("name", [one.name for one in fields(Plan) if one.name != "prior"])  # its weights decide, not its name
def test_every_field_changes_the_key(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_classifier(tmp_path / "classifier", names=("a", "b"))
    beside = {"label": 1} if name in ("classifier", "guidance") else {}
    assert key(replace(Plan(), **{name: OTHERS[name], **beside})) != key(replace(Plan(), **beside))


def test_equal_plans_have_one_key_and_other_frames_or_weights_another() -> None:
    assert key(Plan(sigma_max=40)) == key(Plan(sigma_max=40.0)) == key(Plan(), card={"name": "a prior"})
    assert key(Plan(), "other frames") != key(Plan()) != key(Plan(), sha256="other weights")
    assert (
        key(Plan(options={"eta": 1})) == key(Plan(options={"eta": 1.0})) == key(Plan(method=DDNMPlus(eta=1)))
    )


def test_priors_of_no_file_make_no_current_outputs() -> None:
    job = Job(Plan(), FieldPrior())
    assert job.key("frames") != job.key("frames")


def test_a_plan_is_plain_data() -> None:
    plan = Plan(method=DiffPIR(zeta=0.3), factor=2, start_sigma=1)
    assert plain(plan)["method"] == "diffpir" and plain(plan)["options"] == {"zeta": 0.3}
    assert build(Plan, plain(plan), "record") == plan and plan.sampler == DiffPIR(zeta=0.3)


def test_a_method_of_ones_own_is_remembered() -> None:
    class Own(DDNMPlus):
        """Registered nowhere."""

    plan = replace(Plan(method=Own()), steps=9)
    assert plan.method == f"{__name__}:{Own.__qualname__}" and type(plan.sampler) is Own


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": 1}, "Plan: steps must be at least 2, got 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"travel_length": 0}, "travel_length must be at least 1"),
        ({"travel_repeat": 0}, "travel_repeat must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"feather": -1}, "feather must be at least 0"),
        ({"grow": -1}, "grow must be at least 0"),
        ({"window": 0}, "window must be at least 1"),
        ({"shift": 0.5}, "shift must be a whole number"),
        ({"noise_std": -1}, "noise_std must be at least 0 and below 255"),
        ({"noise_std": 255}, "below 255"),
        ({"sigma_max": 0}, "sigma_max must be above 0"),
        ({"sigma_max": float("inf")}, "sigma_max must be above 0"),
        ({"start_sigma": -1}, "start_sigma must be above 0"),
        ({"warm_start": 0}, "warm_start must be above 0"),
        ({"factor": "half"}, "factor must be a whole number or auto"),
        ({"factor": 0}, "factor must be at least 1"),
        ({"mask_means": "holes"}, "mask_means must be one of hole, keep"),
        ({"method": "hqs"}, "method must be one of"),
        ({"method": HQS()}, "method must be one of"),
        ({"method": 3}, "method must be a name or a Method, got 3"),
        ({"options": {"eta": 3}}, "options.eta must be"),
        ({"options": {"zeta": 0.5}}, "options.zeta is no option"),
    ],
    ids=str,
)
def test_values_out_of_bounds_are_refused_in_python(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Plan(**changes)


def test_a_bound_is_of_the_class_so_replacing_is_checked_too() -> None:
    with pytest.raises(InputError, match="steps must be at least 2"):
        replace(Plan(), steps=1)


@pytest.mark.parametrize(
    ("window", "shift", "expected"),
    [
        (None, None, ((256, 256), (128, 128), 32)),
        (64, None, ((64, 64), (32, 32), 8)),
        (50, None, ((50, 50), (24, 24), 2)),
        (64, 24, ((64, 64), (24, 24), 8)),
    ],
)
def test_windows_lie_on_a_lattice(window: int | None, shift: int | None, expected: object) -> None:
    assert Plan(window=window, shift=shift).grid(FieldPrior()) == expected


def test_levels_begin_at_noise_or_at_a_picture() -> None:
    prior, plan = FieldPrior(), Plan(steps=6, sigma_max=20.0)
    levels = plan.levels(prior)
    assert levels[0] == pytest.approx(20.0) and levels[-1] == 0.0 and len(levels) == 7
    assert plan.levels(prior, 1.0) == [1.0, *(level for level in levels if level < 1.0)]
    assert len(replace(plan, travel_length=2, travel_repeat=2).levels(prior)) > len(levels)


def test_the_module_loads_no_torch() -> None:
    program = (
        "import sys; from medrestore.inpainting.plan import Plan; Plan(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_default_method_is_named() -> None:
    assert Plan().sampler == DDNMPlus() and isinstance(Plan(method=DDNM()).sampler, Method)
