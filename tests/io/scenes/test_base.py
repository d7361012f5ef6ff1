"""Scenes: frames, masks and truth that agree, read frame by frame."""

import numpy as np
import pytest
import torch
from helpers.pictures import picture, save, white

from medrestore.errors import InputError
from medrestore.io import Masks, Scene, SceneSet, open_frames
from medrestore.io.scenes.base import to_tensor


def frames(folder, count, size=(12, 16), make=picture, kind="frame"):
    for index in range(count):
        save(folder / f"{index}.png", make(index, size))
    return open_frames(folder, kind=kind)


def masks(folder, count, size=(12, 16)):
    return Masks(frames(folder, count, size, white, "mask"), "hole")


def test_a_scene_gives_frames_masks_and_truth(tmp_path):
    truth = frames(tmp_path / "truth", 3)
    with Scene("s", frames(tmp_path / "f", 3), masks(tmp_path / "m", 3), truth) as scene:
        assert scene.size == (12, 16) and scene.count == 3 and scene.frame_name(1) == "1" and scene.fps is None
        np.testing.assert_array_equal(scene.frame(1).permute(1, 2, 0).numpy(), picture(1))
        np.testing.assert_array_equal(scene.mask(2)[0].numpy(), white(2) == 0)
        assert scene.truth(0).dtype == torch.uint8 and len(list(scene.frames())) == 3
        assert scene.survey().hole_fraction == pytest.approx(9 / 192)
        assert "\n" not in repr(scene) and len(repr(scene)) < 800


def test_frames_made_of_the_truth_are_black_where_hidden(tmp_path):
    truth = frames(tmp_path / "f", 2)
    scene = Scene("s", truth, masks(tmp_path / "m", 2), truth, hide=True)
    expected = picture(1) * (white(1) == 0)[..., None]
    np.testing.assert_array_equal(scene.frame(1).permute(1, 2, 0).numpy(), expected)


def test_sizes_and_counts_that_differ_are_refused(tmp_path):
    three = frames(tmp_path / "f", 3)
    Scene("s", three, masks(tmp_path / "one", 1))  # one mask for all frames
    with pytest.raises(InputError, match=r"3 frames but .* has 2; give one mask for every frame, or one for all"):
        Scene("s", three, masks(tmp_path / "two", 2))
    with pytest.raises(InputError, match=r"16 x 12 but its mask .* is 10 x 12"):
        Scene("s", three, masks(tmp_path / "small", 3, (12, 10)))
    with pytest.raises(InputError, match="give one reference for every frame"):
        Scene("s", three, masks(tmp_path / "m", 3), frames(tmp_path / "r", 1))


def test_a_set_opens_scenes_on_access(tmp_path):
    closed = []
    scenes = SceneSet("here", {"a": lambda: "A", "b": lambda: "B"}, lambda: closed.append(1))
    with scenes:
        assert list(scenes) == ["a", "b"] and scenes["b"] == "B" and repr(scenes) == "SceneSet('here': 2 scenes)"
    assert closed == [1]
    with pytest.raises(InputError, match="holds no scene"):
        SceneSet("here", {})


def test_grey_pictures_become_three_equal_channels():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert torch.equal(to_tensor(grey), torch.from_numpy(grey).expand(3, 2, 3))
