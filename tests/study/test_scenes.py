"""Scenes: filled, scored, and changed in their holes alone."""

from pathlib import Path

import torch
from helpers.studies import SCENES, opened, run

from medrestore.evaluation.tables import read_rows
from medrestore.study.run import scored_tasks


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


def test_the_prior_fills_the_holes_and_changes_nothing_else(tmp_path: Path) -> None:
    ddnm = {"method": "ddnm+", "steps": 2, "window": 32, "factor": 1}
    given = {**SCENES, "methods": {"D": ddnm, "grown": {**ddnm, "grow": 2}}}
    one, grown = (task.what for task in scored_tasks(opened(given, tmp_path / "out"), {}))
    prior = one.solver.network.load("cpu")
    with one.case.opened() as scene:
        filled, again = (list(item.solver.fill(scene, prior, 0, "cpu")) for item in (one, grown))
        assert len(filled) == scene.count == 2 and prior.calls > 0
        for index, frame in enumerate(filled):
            known = scene.mask(index)[0]
            assert torch.equal(frame[:, known], scene.frame(index)[:, known]) and not torch.equal(frame, scene.frame(index))
        changed = (again[0] != scene.frame(0)).any(0) & scene.mask(0)[0]
        assert changed.any()  # the rim, which the grown mask hides
