"""Frames in memory: the result of the command, kinds and layouts of arrays, one sentence for bad ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.frames import FieldPrior, known, picture
from helpers.networks import save_rgb_prior
from PIL import Image

from medrestore.cli.main import main
from medrestore.errors import InputError
from medrestore.inpainting import Plan, inpaint
from medrestore.priors import load

FRAME = picture().permute(1, 2, 0).contiguous().numpy()
HOLE = ~known((10, 20, 12, 14)).numpy()
FIELDS: dict[str, Any] = {"steps": 3, "window": 16}


@pytest.fixture(scope="module")
def prior_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_rgb_prior(tmp_path_factory.mktemp("priors") / "rgb")


@pytest.mark.parametrize(
    "fields", [{}, {"grow": 2}, {"start_sigma": 1.0, "feather": 4}, {"seed": 3, "samples": 2}], ids=str
)
def test_it_is_what_the_command_writes(prior_folder: Path, tmp_path: Path, fields: dict[str, Any]) -> None:
    Image.fromarray(FRAME).save(tmp_path / "frame.png")
    Image.fromarray(HOLE.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    options = [
        f"--{name.replace('_', '-')}={value}"
        for name, value in {**FIELDS, **fields, "prior": prior_folder}.items()
    ]
    assert (
        main(
            [
                "inpaint",
                str(tmp_path / "frame.png"),
                "--mask",
                str(tmp_path / "mask.png"),
                "--mask-means",
                "hole",
                "-o",
                str(tmp_path / "out.png"),
                *options,
            ]
        )
        == 0
    )
    filled = inpaint(FRAME, HOLE, prior=prior_folder, **FIELDS, **fields)
    assert np.array_equal(filled, np.array(Image.open(tmp_path / "out.png")))
    record = json.loads((tmp_path / "out.png.json").read_text())["config"]
    assert inpaint(FRAME, HOLE, plan=Plan(**record), prior=prior_folder).tobytes() == filled.tobytes()  # of it the name is stored


def test_every_kind_and_layout_comes_back_as_it_was_given() -> None:
    last = inpaint(FRAME, HOLE, prior=FieldPrior(), **FIELDS)
    first = inpaint(FRAME.transpose(2, 0, 1), torch.from_numpy(HOLE), prior=FieldPrior(), **FIELDS)
    tensor = inpaint(torch.from_numpy(FRAME).permute(2, 0, 1), HOLE, prior=FieldPrior(), **FIELDS)
    assert isinstance(last, np.ndarray) and last.shape == FRAME.shape and last.dtype == np.uint8
    assert isinstance(first, np.ndarray) and np.array_equal(first.transpose(1, 2, 0), last)
    assert isinstance(tensor, torch.Tensor) and np.array_equal(tensor.numpy(), first)
    assert np.array_equal(last[~HOLE], FRAME[~HOLE]) and not np.array_equal(last, FRAME)


def test_what_was_given_stays_as_it_is() -> None:
    frame, mask = FRAME.copy(), HOLE.copy()
    inpaint(frame, mask, prior=FieldPrior(), grow=2, **FIELDS)
    assert np.array_equal(frame, FRAME) and np.array_equal(mask, HOLE)


def test_the_meaning_of_a_mask_is_stated_or_that_of_the_plan() -> None:
    expected = inpaint(FRAME, HOLE, prior=FieldPrior(), **FIELDS)
    keep = Plan(mask_means="keep", **FIELDS)
    for filled in (
        inpaint(FRAME, ~HOLE, prior=FieldPrior(), mask_means="keep", **FIELDS),
        inpaint(FRAME, ~HOLE, prior=FieldPrior(), plan=keep),
        inpaint(FRAME, HOLE.astype(np.uint8) * 255, prior=FieldPrior(), plan=keep, mask_means="hole"),
    ):
        assert np.array_equal(filled, expected)


def test_a_loaded_prior_serves_as_its_folder(prior_folder: Path) -> None:
    named = inpaint(FRAME, HOLE, prior=str(prior_folder), **FIELDS)
    assert np.array_equal(inpaint(FRAME, HOLE, prior=load(prior_folder, bf16=True), **FIELDS), named)


@pytest.mark.parametrize(
    ("frame", "mask", "options", "sentence"),
    [
        (FRAME / 255, HOLE, {}, "frame must be uint8 with values from 0 to 255, got float64"),
        (FRAME[..., 0], HOLE, {}, "frame must be .* to go with a mask"),
        (FRAME[:20], HOLE, {}, "frame must be"),
        (FRAME, HOLE[None], {}, "mask must be .height, width."),
        (FRAME, HOLE.astype(np.float32), {}, "mask 000000 holds float32"),
        (FRAME, HOLE.astype(np.uint8), {}, "holds the grey levels 0, 1"),
        ([1], HOLE, {}, "frame must be a NumPy array or a tensor"),
        (FRAME, ~HOLE & HOLE, {}, "the mask hides nothing"),
        (FRAME, HOLE | True, {}, "the mask hides all"),
        (FRAME, ~HOLE, {}, "more than half"),
        (FRAME, HOLE, {"grow": 99}, "grown by 99 pixels, hides all"),
        (FRAME, HOLE, {"stepz": 3}, "stepz is no option; did you mean steps"),
        (FRAME, HOLE, {"steps": 1}, "steps must be at least 2"),
        (FRAME, HOLE, {"mask_means": "white"}, "mask_means must be one of hole, keep"),
        (FRAME, HOLE, {"prior": "nobody"}, "no prior at nobody"),
        (FRAME, HOLE, {"window": 15}, "multiples of 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_arrays_and_plans_are_refused(
    frame: Any, mask: Any, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        inpaint(frame, mask, **{"prior": FieldPrior(), **FIELDS, **options})
    assert "--" not in str(refused.value) and "\n" not in str(refused.value)


def test_a_large_hole_needs_leave() -> None:
    filled = inpaint(FRAME, ~HOLE, prior=FieldPrior(), allow_large_hole=True, **FIELDS)
    assert np.array_equal(filled[HOLE], FRAME[HOLE])
