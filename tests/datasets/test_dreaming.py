"""The ground-truth frames of DREAMING."""

from pathlib import Path

import pytest
from helpers.images import save_picture

from medrestore.datasets import images
from medrestore.errors import InputError


def test_dreaming_finds_scenes_in_parts_and_sorts_frames_by_number(tmp_path: Path) -> None:
    for scene, part in ((1, "DREAMING_training_0000-0009"), (7, ".")):
        for frame in (2, 10, 9):
            save_picture(tmp_path / part / f"scene_{scene:04d}" / "gt" / f"{frame}.jpg", frame, (36, 64))
        save_picture(tmp_path / part / f"scene_{scene:04d}" / "mask" / "2.png", 0)
    source = images({"kind": "dreaming", "folder": str(tmp_path)})
    assert len(source) == 6 and source.groups() == {"dreaming: scene 0001", "dreaming: scene 0007"}
    assert [path.stem for _, path in source.parts[0].frames[:3]] == ["2", "9", "10"]
    some = images({"kind": "dreaming", "folder": str(tmp_path), "scenes": [7], "stride": 2, "height": 18})
    assert len(some) == 2 and some[0].shape == (3, 18, 32)
    with pytest.raises(InputError, match="holds no scenes 0008, 0009; it holds 0001, 0007"):
        images({"kind": "dreaming", "folder": str(tmp_path), "split": "part1-test"})
