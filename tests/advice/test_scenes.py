"""Advice on sets of scenes, followed: another folder, another mask, another name; then they are opened or written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.advice import case, followed
from helpers.pictures import SIZE, picture, save, white
from helpers.stacked import huge, mha, writes, written

from medrestore.io.scenes.dreaming import dreaming_scenes
from medrestore.io.scenes.grand_challenge import MASKS, container_scenes, read_predictions
from medrestore.io.scenes.open import open_frames, open_scenes
from tests.io.scenes.test_dreaming import place, scene_files
from tests.io.scenes.test_grand_challenge import container


def folder_of(path: Path, frames: int = 2, masks: tuple[str, ...] = (), size: tuple[int, int] = SIZE) -> Path:
    """A folder of frames with masks of these names."""
    for index in range(frames):
        save(path / f"{index}.png", picture(index))
    for name in masks:
        save(path / name, white(0, size))
    return path


def hides(path: Path, **how: Any) -> bool:
    """Whether the first frame's mask hides where it is white."""
    with open_scenes(path, means="hole", **how) as scenes:
        (name,) = scenes
        scene = scenes[name]
        return scene.count >= 1 and np.array_equal(scene.mask(0)[0].numpy(), white() == 0)


def challenge(folder: Path, counts: list[int], **how: Any) -> list[str]:
    container(folder, counts, **how)
    scenes = container_scenes(folder, meaning="keep")
    assert all(scene.mask(0).shape[-2:] == SIZE for scene in scenes.values())
    return list(scenes)


def pairs_by_name(folder: Path, counts: list[int]) -> bool:
    return challenge(folder, counts, names=[("one", "one"), ("two", "two")]) == ["one", "two"]


def unequal_masks(folder: Path) -> None:
    """Two stacks of one size, two masks, one of which is of that size."""
    container(folder, [2, 2])
    (folder / "images" / MASKS / "8-bbbb.mha").unlink()
    container(folder / "other", [2, 3])
    (folder / "other" / "images" / MASKS / "8-bbbb.mha").rename(folder / "images" / MASKS / "8-bbbb.mha")
    container_scenes(folder, meaning="keep")


SCENES_OPENED = [
    case(
        "{} is {} x {} but its {} {} is {} x {}; give the {} at the size of the frame, nothing is resized.",
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png"), size=(6, 8))),
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png"))),
    ),
    case(
        "{} has {} frames but {} has {}; give one {} for every frame{}.",
        lambda folder: hides(written(folder / "a.mkv"), mask=mha(folder / "m.mha", masks(2))),
        lambda folder: hides(written(folder / "a.mkv"), mask=mha(folder / "m.mha", masks(3))),
    ),
    case(
        "{} holds no scene; give frames with their masks.",
        lambda folder: empty_set(folder),
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png"))),
    ),
    case(
        "{} does not exist; give the download.",
        lambda folder: dreaming_scenes(folder / "none"),
        lambda folder: list(dreaming_scenes(place(folder, DOWNLOAD))) == ["scene_0000"],
    ),
    case(
        "{} holds no scene with a folder {} beside {} or one of {}; give the download as it came.",
        lambda folder: dreaming_scenes(folder),
        lambda folder: list(dreaming_scenes(place(folder, DOWNLOAD))) == ["scene_0000"],
    ),
    case(
        "{} holds {} twice, in {} and {}; keep one of them.",
        lambda folder: dreaming_scenes(
            place(folder, {f"{part}/{name}": data for part in "ab" for name, data in DOWNLOAD.items()})
        ),
        lambda folder: list(dreaming_scenes(folder / "a")) == ["scene_0000"],
    ),
    case(
        "{} is longer than any predictions.json; give the right file.",
        lambda folder: read_predictions(huge(folder / "p.json")),
        lambda folder: ((folder / "q.json").write_text("[]"), read_predictions(folder / "q.json"))[1] == [],
    ),
    case(
        "{} holds {} stacks and {} masks of them; give a mask for each.",
        lambda folder: (
            container(folder, [2, 3]),
            (folder / "images" / MASKS / "8-bbbb.mha").unlink(),
            container_scenes(folder, meaning="keep"),
        ),
        lambda folder: challenge(folder / "whole", [2, 3]) == ["0-aaaa", "1-aaaa"],
    ),
    case(
        "{}: two stacks fit the same mask, and neither names nor a predictions.json say whose it is; "
        "name each mask like its scene.",
        lambda folder: unequal_masks(folder),
        lambda folder: pairs_by_name(folder / "named", [2, 2]),
    ),
    case(
        "{} fits {} of {} masks (as many frames, same size), and neither names nor a "
        "predictions.json say whose each is; name each mask like its scene.",
        lambda folder: challenge(folder, [2, 2]),
        lambda folder: pairs_by_name(folder / "named", [2, 2]),
    ),
    case(
        "{} does not exist; give frames, a stack, a video or a data set.",
        lambda folder: open_scenes(folder / "none", means="hole"),
        lambda folder: (
            hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png")))
            and hides(mha(folder / "a.mha"), mask=save(folder / "m.png", white()))
            and hides(written(folder / "a.mkv"), mask=save(folder / "m.png", white()))
            and list(open_scenes(place(folder / "d", DOWNLOAD), dataset="dreaming")) == ["scene_0000"]
        ),
    ),
    case(
        "{} does not exist; give frames, a stack, a video or one picture.",
        lambda folder: open_frames(folder / "none"),
        lambda folder: (
            [
                len(open_frames(one))
                for one in (
                    folder_of(folder / "f"),
                    mha(folder / "a.mha"),
                    written(folder / "a.mkv"),
                    save(folder / "m.png", white()),
                )
            ]
            == [2, 3, 3, 1]
        ),
    ),
    case(
        "{} holds several pictures for one {}; keep one for every frame.",
        lambda folder: hides(folder_of(folder / "f", masks=("0_mask.png", "1_mask.png", "mask_0.png"))),
        lambda folder: ((folder / "f" / "mask_0.png").unlink(), hides(folder / "f"))[1],
    ),
    case(
        "{} comes without masks; give them, as mask=PATH.",
        lambda folder: hides(folder_of(folder / "f")),
        lambda folder: hides(folder / "f", mask=save(folder / "m.png", white())),
    ),
    case(
        "; give one {} for every frame, with its name.",
        lambda folder: hides(folder_of(folder / "f", 3, masks=("0_mask.png", "1_mask.png"))),
        lambda folder: hides(folder_of(folder / "f", 3, masks=("2_mask.png",))),
    ),
    case(
        "{}: two frames would have one name, or one that is no file name; give other names.",
        lambda folder: writes(folder, lambda index: "a"),
        lambda folder: writes(folder, lambda index: "ab"[index]),
    ),
]
DOWNLOAD = scene_files("scene_0000", count=1)


def masks(count: int) -> np.ndarray:
    return np.stack([white()] * count)[..., None]


def empty_set(folder: Path) -> None:
    from medrestore.io.scenes.base import SceneSet

    SceneSet(str(folder), {})


@pytest.mark.parametrize(("sentence", "wrong", "right"), SCENES_OPENED)
def test_scenes_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
