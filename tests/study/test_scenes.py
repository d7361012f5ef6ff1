"""Scenes as cases of a study: which there are, what each opens, that they are filled as by the command."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import save_rgb_prior
from helpers.studies import opened, run
from PIL import Image

from medrestore.cli.main import main
from medrestore.datasets.scenes import render_frame, write_scene
from medrestore.errors import InputError
from medrestore.evaluation.tables import read_rows
from medrestore.inpainting import scene as inpainting_scene
from medrestore.inpainting.plan import Plan
from medrestore.inpainting.scene import fill_frames, grown
from medrestore.io.frames.pictures import read_picture
from medrestore.study import scenes as study_scenes
from medrestore.study.config import read
from medrestore.study.fingerprints import Fingerprints
from medrestore.study.methods import Network
from medrestore.study.scenes import SceneFill, excerpt, rendered_scene, scene_cases
from medrestore.study.sources import Scenes

SIZE = (40, 64)
PRINTS = Fingerprints()


def config(**data: Any) -> Any:
    """The source of a study with this data."""
    return read({"protocol": "dreaming-corrected", "methods": {"none": {"fill": "none"}},
                 "data": {"kind": "scenes", "size": list(SIZE), **data}}, "x.yaml").data


def names(**data: Any) -> list[str]:
    return [case.name for case in scene_cases(config(**data), PRINTS, "data")]


def test_a_study_and_the_command_share_the_loop() -> None:
    assert study_scenes.fill_frames is inpainting_scene.fill_frames


@pytest.mark.parametrize("fields", [{}, {"warm_start": 1.0}, {"temporal_fill": False}, {"grow": 2}], ids=str)
def test_a_study_scores_the_frames_that_the_command_writes(tmp_path: Path, fields: dict[str, Any]) -> None:
    folder, prior = tmp_path / "set", save_rgb_prior(tmp_path / "prior")
    write_scene(folder, 0, 3, frames=3, size=SIZE, every=40)
    plan = Plan(prior=str(prior), steps=2, window=16, bf16=False, **fields)
    (case,) = scene_cases(config(folder=str(folder)), PRINTS, "data")
    with case.opened() as scene:
        made = [one.frame for one in fill_frames(scene, Network(str(prior), False, "").load("cpu"), plan)]
    options = {"warm_start": "--warm-start=1", "temporal_fill": "--no-temporal-fill", "grow": "--grow=2"}
    assert (
        main(
            [
                "inpaint",
                str(folder),
                "--dataset",
                "dreaming",
                "-o",
                str(tmp_path / "out"),
                "--prior",
                str(prior),
                "--steps=2",
                "--window=16",
                "--bf16=false",
                "--allow-large-hole",
                *[options[name] for name in fields],
            ]
        )
        == 0
    )
    pictures = sorted((tmp_path / "out").rglob("*.png"))
    assert len(pictures) == 3
    for path, frame in zip(pictures, made, strict=True):
        assert np.array_equal(read_picture(path), frame.permute(1, 2, 0).numpy())


def test_scenes_is_a_range_and_numbers_a_list() -> None:
    assert names(scenes=[3, 5]) == ["scene-0-3", "scene-0-4"] == names(numbers=[3, 4])
    assert names(numbers=[4], seed=2) == ["scene-2-4"]


@pytest.mark.parametrize(("data", "sentence"), [
    ({"scenes": [1, 2, 3]}, "data.scenes must be a list of 2"),
    ({"scenes": [5, 3]}, r"data.scenes must be a range \[first, last\)"),
    ({"scenes": [-1, 3]}, "data.scenes must be a range"), ({"numbers": []}, "data.numbers must be"),
    ({"scenes": [0, 2], "numbers": [1]}, "give one of them"), ({}, r"data.folder .* or scenes \[first, last\) or numbers"),
    ({"split": "part1-test"}, "data.folder .* must be given"),
])
def test_choices_of_scenes_that_are_refused(data: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        config(**data)


def test_scenes_of_a_folder_by_range_number_and_split(tmp_path: Path) -> None:
    for number in (1, 7, 8):
        write_scene(tmp_path, 0, number, frames=1, size=SIZE)
    assert names(folder=str(tmp_path)) == ["scene_0001", "scene_0007", "scene_0008"]
    assert names(folder=str(tmp_path), scenes=[7, 9]) == ["scene_0007", "scene_0008"]
    assert names(folder=str(tmp_path), numbers=[8, 1]) == ["scene_0008", "scene_0001"]
    (tmp_path / "own.yaml").write_text("mine: {numbers: [7]}\nold: {scenes: [7, 8]}\n")
    assert names(folder=str(tmp_path), split=f"{tmp_path / 'own.yaml'}:mine") == ["scene_0007"]
    with pytest.raises(InputError, match=r"write numbers: \[7, 8\]"):
        names(folder=str(tmp_path), split=f"{tmp_path / 'own.yaml'}:old")
    with pytest.raises(InputError, match="lacks scene_0009; it holds scene_0001"):
        names(folder=str(tmp_path), split="part1-test")


def test_a_rendered_scene_is_what_is_rendered() -> None:
    rendered = render_frame(1, 3, 300, size=SIZE)
    with rendered_scene("a", 1, 3, SIZE) as scene:
        assert (scene.count, scene.size) == (1000, SIZE)
        assert torch.equal(scene.mask(300)[0], rendered.known)
        assert torch.equal(scene.frame(300), (255 * rendered.obstructed).round().to(torch.uint8))
        assert torch.equal(scene.truth(300), (255 * rendered.truth).round().to(torch.uint8))


def test_an_excerpt_is_cut_before_its_masks_grow() -> None:
    box = slice(4, 36), slice(10, 42)
    with rendered_scene("a", 0, 3, SIZE) as scene:
        part = excerpt(scene, [300, 301], box)
        assert (part.count, part.size) == (2, (32, 32))
        assert torch.equal(part.frame(1), scene.frame(301)[(..., *box)])
        assert torch.equal(part.truth(1), scene.truth(301)[(..., *box)])
        assert torch.equal(part.mask(0), scene.mask(300)[(..., *box)])
        rim = part.mask(0) & ~grown(part, 2).mask(0)
        assert rim.any() and not (grown(part, 2).mask(0) & ~part.mask(0)).any()


def test_one_mask_serves_all_frames_of_an_excerpt(tmp_path: Path) -> None:
    from medrestore.io.scenes.open import open_scenes

    for index in range(3):
        (tmp_path / "frames").mkdir(exist_ok=True)
        Image.fromarray(np.full((*SIZE, 3), 40 * index, np.uint8)).save(tmp_path / "frames" / f"{index}.png")
    mask = np.zeros(SIZE, np.uint8)
    mask[4:9] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    with open_scenes(tmp_path / "frames", mask=tmp_path / "mask.png", means="hole") as scenes:
        (scene,) = (scenes[name] for name in scenes)
        part = excerpt(scene, [2, 1])
        assert (
            part.frame(0).unique().tolist() == [80]
            and torch.equal(part.mask(1), scene.mask(0))
            and part.truth(0) is None
        )
        assert part.frame_name(0) == "2"


@pytest.mark.parametrize(("crop", "holes"), [(32, None), (None, None), (32, (0.02, 0.5)), (None, (0.9, 1.0))])
def test_crops_lie_around_holes_of_the_size_that_is_asked(
    crop: int | None, holes: tuple[float, float] | None
) -> None:
    source = Scenes(scenes=(3, 7), size=SIZE, frames=(300, 301), crop=crop, holes=holes)
    if holes == (0.9, 1.0):
        with pytest.raises(InputError, match="none of the scenes hides a share"):
            scene_cases(source, PRINTS, "data")
        return
    cases = scene_cases(source, PRINTS, "data")
    assert cases and len({case.fingerprint for case in cases}) == len(cases)
    for case in cases:
        with case.opened() as scene:
            hidden = float((~scene.mask(0)).double().mean())
            assert scene.size == (SIZE if crop is None else (crop, crop)) and scene.count == case.images == 2
            assert crop is None or hidden > 0
            assert holes is None or holes[0] <= hidden <= holes[1]


def test_frames_are_chosen_by_number_or_evenly() -> None:
    (few,) = scene_cases(Scenes(scenes=(3, 4), size=SIZE, frames=4), PRINTS, "data")
    assert few.frames == (0, 250, 500, 750)
    for frames in ((1000,), (-1,), 1001):
        with pytest.raises(InputError, match="has 1000 frames"):
            scene_cases(Scenes(scenes=(3, 4), size=SIZE, frames=frames), PRINTS, "data")
    with pytest.raises(InputError, match="give a smaller crop"):
        scene_cases(Scenes(scenes=(3, 4), size=SIZE, frames=1, crop=41), PRINTS, "data")


def test_fills_without_a_prior_leave_known_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = scene_cases(Scenes(scenes=(3, 4), size=SIZE, frames=(300,)), PRINTS, "data")
    with case.opened() as scene:
        monkeypatch.setitem(study_scenes.FILLS, "black", lambda frame, known: torch.zeros_like(frame))
        (frame,) = SceneFill("black").fill(scene, None, 0, "cpu")
        known = scene.mask(0)[0]
        assert torch.equal(frame[:, known], scene.frame(0)[:, known]) and not frame[:, ~known].any()


def test_another_plan_fills_otherwise(tmp_path: Path) -> None:
    prior = save_rgb_prior(tmp_path / "prior")
    (case,) = scene_cases(Scenes(scenes=(3, 4), size=SIZE, frames=(300, 301)), PRINTS, "data")
    plan = Plan(steps=2, window=32, factor=1)
    with case.opened() as scene:
        made = [[one.frame for one in fill_frames(scene, Network(str(prior), True, "").load("cpu"), one)]
                for one in (plan, replace(plan, grow=2), replace(plan, seed=1))]
        for index in range(2):
            known = scene.mask(index)[0]
            assert torch.equal(made[0][index][:, known], scene.frame(index)[:, known])
        rim = scene.mask(0)[0] & ~grown(scene, 2).mask(0)[0]
        assert not torch.equal(made[1][0][:, rim], scene.frame(0)[:, rim]) and not torch.equal(made[0][0], made[2][0])


def test_scenes_are_filled_and_scored(tmp_path: Path) -> None:
    given = {"protocol": "dreaming-corrected", "pictures": 1,
             "data": {"kind": "scenes", "scenes": [3, 5], "size": [40, 64], "frames": 2, "crop": 32},
             "methods": {"none": {"fill": "none"}, "mean": {"fill": "mean"}, "smooth": {"fill": "smooth"},
                         "biharmonic": {"fill": "biharmonic"}}}
    result = run(given, tmp_path / "out")
    assert result.failed == {} and result.done == 4 * len(opened(given, tmp_path / "x").data)
    frames, scenes = (read_rows(tmp_path / "out" / name) for name in ("results.csv", "volumes.csv"))
    assert len(frames) == 2 * len(scenes) and all(row["slice"] is None for row in scenes)
    mean = {name: [row["hole_psnr"] for row in scenes if row["method"] == name] for name in given["methods"]}
    assert sum(mean["smooth"]) > sum(mean["none"])
    assert all(row["known_changed"] == 0 for row in frames if row["known_changed"] is not None)


def test_masks_of_labels_hide_by_the_levels_that_are_stated(tmp_path: Path) -> None:
    write_scene(tmp_path, 0, 1, frames=1, size=SIZE)
    (place,) = (tmp_path / "scene_0001" / "mask").iterdir()
    labels = np.zeros(SIZE, np.uint8)
    labels[4:10, 8:20], labels[20:24, 8:20] = 85, 170
    Image.fromarray(labels).save(place)
    (case,) = scene_cases(config(folder=str(tmp_path), hole_values=[85]), PRINTS, "data")
    with case.opened() as scene:
        assert np.array_equal(scene.mask(0)[0].numpy(), labels != 85)
    (other,) = scene_cases(config(folder=str(tmp_path), hole_values=[85, 170]), PRINTS, "data")
    assert other.fingerprint != case.fingerprint
    with pytest.raises(InputError, match="hole_values"):
        scene_cases(config(folder=str(tmp_path)), PRINTS, "data")
    with pytest.raises(InputError, match="hole_values are of the masks in a folder"):
        config(scenes=[3, 4], hole_values=[85])
