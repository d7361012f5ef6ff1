"""The ground-truth frames of DREAMING."""

import json
from pathlib import Path

import pytest
from helpers.images import save_picture

from medrestore.datasets import images
from medrestore.datasets.dreaming import split_numbers
from medrestore.errors import InputError


def test_dreaming_finds_scenes_in_parts_and_sorts_frames_by_number(tmp_path: Path) -> None:
    for scene, part in ((1, "DREAMING_training_0000-0009"), (7, ".")):
        for frame in (2, 10, 9):
            save_picture(tmp_path / part / f"scene_{scene:04d}" / "gt" / f"{frame}.jpg", frame, (36, 64))
        save_picture(tmp_path / part / f"scene_{scene:04d}" / "mask" / "2.png", 0)
    source = images({"kind": "dreaming", "folder": str(tmp_path)})
    assert len(source) == 6 and source.groups() == {"dreaming: scene 0001", "dreaming: scene 0007"}
    assert [path.stem for _, path in source.parts[0].frames[:3]] == ["2", "9", "10"]
    some = images({"kind": "dreaming", "folder": str(tmp_path), "numbers": [7], "stride": 2, "height": 18})
    assert len(some) == 2 and some[0].shape == (3, 18, 32)
    with pytest.raises(InputError, match="holds no scenes 0008, 0009; it holds 0001, 0007"):
        images({"kind": "dreaming", "folder": str(tmp_path), "split": "part1-test"})


def test_scenes_are_a_range_everywhere_so_lists_of_numbers_have_another_name(tmp_path: Path) -> None:
    """`scenes: [0, 90]` meant two scenes of DREAMING: it is refused, neither read as ninety nor as two."""
    save_picture(tmp_path / "scene_0000" / "gt" / "0.png", 0)
    for scenes in ([0, 90], [7], [1, 2, 3]):
        with pytest.raises(InputError, match=rf"write numbers: \[{', '.join(map(str, scenes))}\] for exactly these scenes"):
            images({"kind": "dreaming", "folder": str(tmp_path), "scenes": scenes})
    (tmp_path / "own.yaml").write_text(json.dumps({"mine": {"scenes": [92, 96]}}))
    with pytest.raises(InputError, match=r"own.yaml:mine holds scenes; write numbers: \[92, 96\]"):
        split_numbers(f"{tmp_path / 'own.yaml'}:mine")
    (tmp_path / "own.yaml").write_text(json.dumps({"mine": {"numbers": 92}}))
    with pytest.raises(InputError, match="must hold numbers, a list"):
        split_numbers(f"{tmp_path / 'own.yaml'}:mine")
    assert len(images({"kind": "scenes", "scenes": [0, 90], "frames": 1})) == 90
    with pytest.raises(InputError, match=r"scenes must be a list of 2, got \[1, 2, 3\]"):
        images({"kind": "scenes", "scenes": [1, 2, 3], "frames": 1})
