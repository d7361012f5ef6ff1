"""Plans of images: defaults, bounds, windows."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import save_classifier
from helpers.pictured import FieldOf
from PIL import Image

from medrestore.cli.main import COMMANDS
from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.files import Job
from medrestore.images.plan import (
    COLOUR_PRIOR,
    GREY_PRIOR,
    UNDECIDING,
    DegradePlan,
    GeneratePlan,
    Machine,
    Plan,
    Reading,
    Writing,
    window_of,
)
from medrestore.methods import HQS, SHRED, DDNMPlus
from medrestore.settings import build, documented, plain, schema


def test_the_default_method_is_hqs_of_second_order() -> None:
    assert Plan().sampler == HQS(order=2) and Plan(method="hqs").sampler == HQS()
    assert COMMANDS["restore"].parse(["x", "--method", "ddnm"]).plan.options == {}
    with pytest.raises(InputError, match="eta is no option"):
        Plan(options={"eta": 1.0})
    assert Plan(method=DDNMPlus(eta=0.5)).options == {"eta": 0.5}
    assert Plan(options={"order": 1}).sampler == HQS(order=1)


def test_the_prior_follows_from_the_channels() -> None:
    assert Plan().for_images(1).prior == GREY_PRIOR and Plan().for_images(3).prior == COLOUR_PRIOR
    assert Plan(prior="mine").for_images(3).prior == "mine"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"samples": 2}, "draws no samples"),
        ({"interval": (1.0, 1.0)}, "black below white"),
        ({"method": "ddim"}, "must be one of"),
        ({"steps": 1}, "at least 2"),
        ({"seam": "none"}, "continued, fixed"),
        ({"noise_std": -1}, "at least 0"),
    ],
)
def test_values_that_make_no_plan_are_refused(given, words) -> None:
    with pytest.raises(InputError, match=words):
        Plan(**given)


def test_windows_are_taken_where_the_prior_cannot_see_the_whole() -> None:
    prior = FieldOf()
    assert window_of(Plan(), prior, (300, 417)) is None
    assert window_of(Plan(), prior, (600, 800)) == (256, 256)
    assert (
        window_of(Plan(window=64), prior, (40, 80)) == (64, 64)
        and window_of(Plan(window=64), prior, (40, 64)) is None
    )
    prior.size = (32, 32)
    assert window_of(Plan(), prior, (40, 32)) == (32, 32) and window_of(Plan(), prior, (30, 30)) is None


def test_levels_and_time_travel() -> None:
    levels = Plan(steps=4, sigma_max=2.0, travel_repeat=2).levels(FieldOf())
    assert levels[0] == pytest.approx(2.0) and levels[-1] == 0 and len(levels) > 5
    with pytest.raises(InputError, match="sigma_max"):
        Plan(sigma_max=0.001).check_levels(FieldOf())


def test_generation_takes_methods_of_the_prior_alone() -> None:
    with pytest.raises(InputError, match="must be one of ddim"):
        GeneratePlan(method="hqs")


BASE = Plan(Degradation(task="cs", keep=0.5), method="dds", options={"eta": 1.0})
OTHERS: dict[str, Any] = {
    "degradation": Degradation(task="cs", keep=0.4),
    "noise_std": 1.0,
    "interval": (0.0, 9.0),
    "prior": "mine",
    "method": "diffpir",
    "options": {"eta": 2.5},
    "steps": 9,
    "ladder": "ddpm",
    "sigma_max": 3.0,
    "travel_length": 2,
    "travel_repeat": 2,
    "samples": 3,
    "seed": 1,
    "window": 64,
    "shift": 16,
    "guide": 2,
    "seam": "fixed",
    "label": 1,
    "classifier": "classifier",  # a folder that the test makes
    "guidance": 2.0,
    "axis": "coronal",
    "slices": (0, 1),
    "keep_samples": True,
    "bf16": False,
    "batch_size": 2,
}
WITH: dict[str, dict[str, Any]] = {"method": {"options": {}}, "classifier": {"label": 1}, "guidance": {"label": 1}}
DONE: dict[str, Any] = {
    "task": Degradation(task="denoise"),
    "operators": Degradation(operators=({"kind": "grey"},)),
    "factor": Degradation(task="old-photo", factor=4, keep=0.5),
    "filter": Degradation(task="sr", factor=2, filter="bicubic"),
    "blur_std": Degradation(task="deblur", blur_std=(1.0,)),
    "motion": Degradation(task="deblur", motion=(3.0, 0.0)),
    "kernel_size": Degradation(task="blind-deblur", kernel_size=5),
    "weights": Degradation(task="colorize", weights=(0.5, 0.3, 0.2)),
    "keep": Degradation(task="cs", keep=0.3),
    "quality": Degradation(task="jpeg", quality=30),
    "gain": Degradation(task="saturation", gain=3.0),
    "white": Degradation(task="saturation", gain=3.0, white=0.5),
    "pattern": Degradation(task="cs", keep=0.5, pattern="walsh-hadamard"),
    "block": Degradation(task="cs", keep=0.5, pattern="walsh-hadamard", block=8),
    "oversampling": Degradation(task="phase-retrieval", oversampling=3),
    "pattern_seed": Degradation(task="cs", keep=0.5, pattern_seed=2),
}
FILES = {"mask", "mask_means", "kernel"}  # tried below, with files


def current(plan: Plan, **rest: Any) -> str:
    return Job(plan, FieldOf(1), {"sha256": plan.prior}, **rest).config_hash


def test_every_field_changes_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_classifier(tmp_path / "classifier", names=("a", "b"))
    hashes = [
        current(BASE),
        *(
            current(replace(BASE, **{name: value, **WITH.get(name, {})}))
            for name, value in OTHERS.items()
        ),
    ]
    hashes += [current(replace(BASE, degradation=done)) for done in DONE.values()]
    for content, means in ((0, "hole"), (1, "hole"), (1, "keep")):
        path = tmp_path / f"m{content}{means}.png"
        Image.fromarray(np.full((2, 2), content, np.uint8)).save(path)
        hashes.append(
            current(replace(BASE, degradation=Degradation(task="inpaint", mask=str(path), mask_means=means)))
        )
        hashes.append(current(replace(BASE, degradation=Degradation(task="deblur", kernel=str(path)))))
    assert len(set(hashes)) == len(hashes) - 1  # one kernel's content stands twice
    assert set(OTHERS) == {one.name for one in fields(Plan)}
    assert set(DONE) | FILES == {one.name for one in fields(Degradation)}


def test_a_file_decides_by_its_content(tmp_path: Path) -> None:
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, np.ones((2, 2)))
    a, b = (
        current(Plan(Degradation(task="deblur", kernel=str(tmp_path / name)))) for name in ("a.npy", "b.npy")
    )
    assert a == b


def test_what_does_not_decide_does_not_change_the_hash() -> None:
    changed = {
        "machine": Machine(device="cuda", compiled=True),
        "reading": Reading(max_gb=3),
        "writing": Writing(overwrite=True, resume=True, keep_patient=True, anonymous=True),
    }
    assert {type(value) for value in changed.values()} == set(UNDECIDING)
    assert current(BASE, **changed) == current(BASE)


@pytest.mark.parametrize("kind", [Plan, DegradePlan, GeneratePlan, Degradation, Machine, Reading, Writing])
def test_every_field_is_documented_and_in_the_schema(kind: type) -> None:
    names = {one.name for one in fields(kind)}
    assert set(documented(kind)) == names == set(schema(kind)["properties"])


@pytest.mark.parametrize(
    "plan",
    [
        BASE,
        *(replace(BASE, degradation=done) for done in DONE.values()),
        DegradePlan(DONE["filter"]),
        GeneratePlan(seed=3),
    ],
)
def test_plans_are_made_again_from_what_is_stored(plan: Any) -> None:
    assert build(type(plan), plain(plan), "stored") == plan


@pytest.mark.parametrize("name", ["restore", "degrade", "generate"])
def test_every_option_is_of_a_plan_or_of_a_class_that_does_not_decide(name: str) -> None:
    own = {"input", "out", "truth", "json"}
    places = {one.path[0] for one in COMMANDS[name].options.values() if one.name not in own}
    assert places <= {"plan", "machine", "reading", "writing"}


def test_options_may_be_words() -> None:
    """Where the method has them; a number stays one, and what is neither of its words is refused."""
    assert Plan(method="shred", options={"gradient": "full", "lr": 0.5}).sampler == SHRED(lr=0.5, gradient="full")
    with pytest.raises(InputError, match=r"options.gradient must be one of full, shortcut, got 'x'"):
        Plan(method="shred", options={"gradient": "x"})
    with pytest.raises(InputError, match=r"options.lr must be a number, got 'fast'"):
        Plan(method="shred", options={"lr": "fast"})
