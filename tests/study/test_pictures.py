"""Photographs: degraded, restored, and compared with the data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.studies import NATURAL, opened, run
from PIL import Image

from medrestore.datasets.scenes import render_frame
from medrestore.errors import InputError
from medrestore.evaluation.tables import read_rows
from medrestore.study.cases import Clock
from medrestore.study.fingerprints import Fingerprints
from medrestore.study.pictures import PictureCase, degraded_picture, operator_of_condition, picture_cases, resized
from medrestore.study.run import scored_tasks
from medrestore.study.sources import Degrade, Pictures


def test_pictures_are_degraded_restored_and_held_to_the_data(tmp_path: Path) -> None:
    given = {"protocol": "natural", "data": {"kind": "pictures", "crop": 32}, "pictures": 1,
             "settings": [{"kind": "super-resolution"}, {"kind": "inpainting", "keep": 0.5}, {"kind": "deblurring"},
                          {"kind": "colorization"}, {"kind": "inpainting", "box": 8, "noise_std": 0.05}],
             "methods": {"pinv": {"baseline": "PseudoInverse"}}}
    assert run(given, tmp_path / "out").failed == {}
    rows = read_rows(tmp_path / "out" / "results.csv")
    exact = [row for row in rows if "noise" not in row["setting"]]
    assert len(rows) == 8 * 5 and max(row["residual"] for row in exact) < 1e-3
    assert {row["setting"] for row in rows} >= {"super-resolution 4x", "inpainting 50%", "inpainting 8 px noise 0.05"}
    assert all(row["lpips"] is None for row in rows)


@pytest.fixture
def case(tmp_path: Path) -> PictureCase:
    pixels = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(pixels).save(tmp_path / "pictures" / "one.png")
    (case,) = picture_cases(Pictures(folder=str(tmp_path / "pictures")), Fingerprints(), "data")
    return case


def test_sides_are_multiples_of_16_around_the_centre(case: PictureCase) -> None:
    assert case.grid == (48, 64) and case.shape == (48, 64, 3)
    cropped = replace(case, crop=32).picture()
    assert torch.equal(cropped, case.picture()[..., 8:40, 16:48])


def test_pictures_that_are_smaller_than_the_crop_are_refused(case: PictureCase) -> None:
    with pytest.raises(InputError, match="has a side of 50 pixels, less than 64; leave it out"):
        picture_cases(Pictures(folder=str(Path(case.path).parent), crop=64), Fingerprints(), "data")


@pytest.mark.parametrize("condition", [
    Degrade("super-resolution", factor=2), Degrade("super-resolution", factor=2, filter="mean"), Degrade("deblurring"),
    Degrade("colorization"), Degrade("inpainting", keep=0.5), Degrade("inpainting", box=8),
], ids=lambda condition: condition.name)
def test_every_degradation_is_an_operator_on_pictures(condition: Degrade) -> None:
    x = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    operator = operator_of_condition(condition, (32, 48), torch.Generator().manual_seed(0))
    y = operator(x)
    left, right = (y * y).sum(), (operator.adjoint(y) * x).sum()
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-4)


def test_a_box_hides_the_middle() -> None:
    y = operator_of_condition(Degrade("inpainting", box=8), (32, 48), torch.Generator())(torch.ones(1, 3, 32, 48))
    assert y.sum() == 3 * (32 * 48 - 64) and y[0, 0, 12:20, 20:28].sum() == 0


def test_noise_is_that_of_the_picture_and_the_seed(case: PictureCase) -> None:
    condition = Degrade("colorization", noise_std=0.1)
    first, again = (degraded_picture(case, condition, 0, "cpu")[0] for _ in range(2))
    other = degraded_picture(case, condition, 1, "cpu")[0]
    named = degraded_picture(replace(case, name="two"), condition, 0, "cpu")[0]
    assert torch.equal(first.y, again.y) and first.sigma == 0.1
    assert not torch.equal(first.y, other.y) and not torch.equal(first.y, named.y)


def test_a_sample_has_a_row_of_its_own(tmp_path: Path) -> None:
    given = {**NATURAL, "methods": {"ddnm": {"method": "ddnm", "steps": 2, "samples": 2}}}
    item = scored_tasks(opened(given, tmp_path / "out"), {})[0].what
    both, single = item.case.solve(item, "cpu", Clock()).rows
    assert (both["method"], both["calls"]) == ("ddnm", 4.0)
    assert (single["method"], single["calls"]) == ("ddnm, one sample", 2.0) and single["psnr"] != both["psnr"]


@pytest.mark.parametrize(("methods", "message"), [
    ({"X": {"baseline": "CGSense"}}, "methods.X: there is no baseline 'CGSense' for this data; there are: PseudoInverse"),
    ({"X": {"baseline": "PseudoInverse", "options": {"a": 1}}}, "methods.X: PseudoInverse has no options"),
    ({"X": {"method": "ddnm", "prior": "brain-mr-starter"}}, "brain-mr-starter is a prior of 2 channels|brain-mr-starter"),
    ({"X": {"method": "ddnm", "sigma_max": 1e-9}}, "sigma_max is 1e-09, not above the least noise level"),
])
def test_methods_that_do_not_suit_pictures_are_refused(methods: dict[str, Any], message: str, tmp_path: Path) -> None:
    said = message.removeprefix("methods.X: ").removeprefix("methods.X.")
    with pytest.raises(InputError, match=f"^my.yaml: methods.X.*({said})"):
        opened({**NATURAL, "methods": methods}, tmp_path / "out")


def test_each_baseline_restores_what_it_is_for(tmp_path: Path) -> None:
    """Bicubic what is smaller, the biharmonic equation what has holes; the weight of total variation is chosen for each."""
    pictures = tmp_path / "pictures"
    for folder, seed in (("test", 0), ("validation", 1)):
        (pictures / folder).mkdir(parents=True)
        smooth = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)).resize((32, 32))
        smooth.save(pictures / folder / f"{folder}.png")
    given = {"protocol": "natural", "data": {"kind": "pictures", "folder": str(pictures / "test")},
             "validation": {"kind": "pictures", "folder": str(pictures / "validation")},
             "settings": [{"kind": "super-resolution"}, {"kind": "inpainting", "keep": 0.6}, {"kind": "compressed-sensing"},
                          {"kind": "denoising", "noise_std": 0.1}, {"kind": "deblurring", "motion": [5, 30]}],
             "methods": {**{name: {"baseline": name} for name in ("Degraded", "Bicubic", "Biharmonic", "PseudoInverse")},
                         "TV": {"baseline": "ADMMTV", "tune": {"lam": [1e-4, 0.05]}, "options": {"iterations": 10}},
                         "DIP": {"baseline": "DeepImagePrior", "options": {"steps": 10, "channels": 4}}}}
    assert run(given, tmp_path / "out").failed == {}
    scores = {(row["setting"], row["method"]): row["psnr"] for row in read_rows(tmp_path / "out" / "results.csv")}
    who = {setting: {method for one, method in scores if one == setting} for setting, _ in scores}
    every = {"PseudoInverse", "TV", "DIP"}
    assert who["super-resolution 4x"] == every | {"Degraded", "Bicubic"} and who["compressed-sensing 25%"] == every
    assert who["inpainting 60%"] == every | {"Degraded", "Biharmonic"} and who["deblurring motion 5 px"] == every | {"Degraded"}
    assert scores["inpainting 60%", "Biharmonic"] > scores["inpainting 60%", "TV"] > scores["inpainting 60%", "Degraded"] + 5
    assert scores["denoising noise 0.1", "TV"] > scores["denoising noise 0.1", "Degraded"] + 1
    assert scores["super-resolution 4x", "Bicubic"] > scores["super-resolution 4x", "Degraded"]


def test_pictures_are_made_smaller_by_the_recipe_of_adm(case: PictureCase) -> None:
    """Halved by means while twice as large, bicubic, then the centre."""
    pixels = np.random.default_rng(0).integers(0, 255, (80, 130, 3), dtype=np.uint8)
    halved = pixels.reshape(40, 2, 65, 2, 3).mean((1, 3))
    got = resized(pixels, 40)
    assert got.shape == (40, 40, 3) and np.abs(got - halved[:, 12:52]).max() <= 1
    assert resized(pixels, 32).shape == (32, 32, 3) and replace(case, resize=32).grid == (32, 32)


@pytest.mark.parametrize(("method", "message"), [
    ("score-mri", "must be one of hqs.*got 'score-mri'"), ("cg-sense", "must be one of hqs"),
    ("resample", "resample is for priors of codes"), ("conditional", "conditional is for priors of codes")])
def test_methods_of_other_data_are_refused(tmp_path: Path, method: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        opened({**NATURAL, "methods": {"X": {"method": method}}}, tmp_path / "out")


def test_rendered_scenes_are_pictures_too(tmp_path: Path) -> None:
    """As `render_frame` makes them, of the side that is asked for, and restored like others."""
    one, other = picture_cases(Pictures(scenes=(3, 5), seed=7, crop=32), Fingerprints(), "data")
    truth = render_frame(7, 3, 0, size=(32, 32)).truth
    assert one.grid == (32, 32) and float((one.picture()[0] - truth).abs().max()) <= 0.502 / 255
    assert len({one.fingerprint, other.fingerprint}) == len({one.name, other.name}) == 2
    given = {**NATURAL, "data": {"kind": "pictures", "scenes": [3, 5], "crop": 32}}
    assert run(given, tmp_path / "out").failed == {}
    assert len(read_rows(tmp_path / "out" / "results.csv")) == 2


@pytest.mark.parametrize("wrong", [
    {"scenes": (5, 3), "crop": 32}, {"scenes": (0, 1)}, {"scenes": (0, 1), "crop": 32, "resize": 32},
    {"scenes": (0, 1), "crop": 32, "folder": "pictures"}])
def test_rendered_scenes_that_are_not_well_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="scenes"):
        Pictures(**wrong)
