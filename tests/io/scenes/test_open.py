"""Scenes from folders, stacks and pictures."""

import numpy as np
import pytest
import torch
from helpers.pictures import SIZE, picture, refused, save, white

from medrestore.io.scenes.open import open_frames, open_scenes


@pytest.mark.parametrize("together", [True, False])
def test_pairing_by_stem(tmp_path, together):
    frames, masks = tmp_path / "f", tmp_path / ("f" if together else "m")
    for index in (0, 5, 10):
        save(frames / f"video01_{index:06d}_frame.png", picture(index))
        save(masks / f"video01_{index:06d}_mask.png", white(index))
        save(frames / f"gt_video01_{index:06d}.png", picture(index + 1))
    with open_scenes(frames, mask=None if together else masks, means="hole") as scenes, scenes["f"] as scene:
        assert scene.count == 3 and scene.size == SIZE and scene.frame_name(1) == "video01_000005_frame"
        for at, index in enumerate((0, 5, 10)):
            assert torch.equal(scene.frame(at), torch.from_numpy(picture(index)).permute(2, 0, 1))
            assert np.array_equal(scene.mask(at)[0].numpy(), white(index) == 0)
            assert torch.equal(scene.truth(at), torch.from_numpy(picture(index + 1)).permute(2, 0, 1))
    (masks / "video01_000005_mask.png").rename(masks / "video01_000006_mask.png")
    scenes = open_scenes(frames, mask=masks, means="hole")
    refused("none of which is named like video01_000005_frame.png", scenes.__getitem__, "f")
    (masks / "video01_000006_mask.png").unlink()
    refused("has 3 frames and .* 2 pictures", open_scenes(frames, mask=masks, means="hole").__getitem__, "f")


def test_one_mask_for_all(tmp_path):
    for index in range(3):
        save(tmp_path / "f" / f"{index}.png", picture(index))
    mask = save(tmp_path / "m.png", white())
    scene = open_scenes(tmp_path / "f", mask=mask, means="hole")["f"]
    assert all(torch.equal(scene.mask(index), scene.mask(0)) for index in range(3))
    refused("comes without masks", open_scenes(tmp_path / "f", means="hole").__getitem__, "f")
    save(mask, white(size=(12, 15)))
    refused("is 16 x 12 but its mask .* is 15 x 12", open_scenes(tmp_path / "f", mask=mask, means="hole").__getitem__, "f")
    save(tmp_path / "f" / "1.png", picture(size=(10, 10)))
    refused("is 10 x 10 but the first", list, open_frames(tmp_path / "f"))
    refused("of no kind that is read", open_frames, save(tmp_path / "a.bmp", picture()))
