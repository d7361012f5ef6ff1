"""Containers of grand-challenge: how scenes and masks are paired."""

import json

import numpy as np
import pytest
import torch
from helpers.pictures import picture, refused, white

from medrestore.io.frames.mha import MhaWriter
from medrestore.io.scenes.grand_challenge import (
    MASKS,
    RESULTS,
    RESULTS_SLUG,
    SCENES,
    container_scenes,
    output_place,
    read_predictions,
)
from medrestore.io.scenes.open import open_scenes


def write_stack(path, arrays):
    with MhaWriter(path, size=arrays[0].shape[:2], count=len(arrays), channels=3 if arrays[0].ndim == 3 else 1) as writer:
        for array in arrays:
            writer.put(array)


def container(root, counts, *, names=None):
    for index, count in enumerate(counts):
        scene, mask = names[index] if names else (f"{index}-aaaa", f"{9 - index}-bbbb")
        write_stack(root / "images" / SCENES / f"{scene}.mha", [picture(index + t) for t in range(count)])
        write_stack(root / "images" / MASKS / f"{mask}.mha", [255 - white(index)] * count)


def job(pk, scene, mask, folder=f"images/{RESULTS}"):
    def entry(name, slug, path):
        return {"image": {"name": name}, "interface": {"slug": slug, "relative_path": path}}

    inputs = [entry(scene, SCENES, f"images/{SCENES}"), entry(mask, MASKS, f"images/{MASKS}")]
    return {"pk": pk, "inputs": inputs, "outputs": [entry("out", RESULTS_SLUG, folder)], "status": "Succeeded"}


def test_container_pairs_by_what_they_are(tmp_path):
    container(tmp_path, [2, 3])
    with open_scenes(tmp_path, means="keep") as scenes:
        assert list(scenes) == ["0-aaaa", "1-aaaa"]
        assert [scene.count for scene in scenes.values()] == [2, 3]
        assert np.array_equal(scenes["1-aaaa"].mask(2)[0].numpy(), white(1) == 0)
    assert output_place("o", "0-aaaa").as_posix() == f"o/images/{RESULTS}/0-aaaa.mha"


def test_container_is_not_guessed(tmp_path):
    container(tmp_path, [2, 2])
    refused("fits 2 of 2 masks", container_scenes, tmp_path, meaning="keep")
    jobs = [job("p0", "0-aaaa.mha", "8-bbbb.mha"), job("p1", "1-aaaa.mha", "9-bbbb.mha")]
    (tmp_path / "predictions.json").write_text(json.dumps(jobs))
    scenes = container_scenes(tmp_path, meaning="keep")
    assert np.array_equal(scenes["0-aaaa"].mask(0)[0].numpy(), white(1) == 0)
    (tmp_path / "images" / MASKS / "8-bbbb.mha").unlink()
    refused("2 stacks and 1 masks", container_scenes, tmp_path, meaning="keep")


def test_platform_names(tmp_path):
    for number in ("0092", "0096"):
        for role, make in (("input", picture), ("mask", lambda t: 255 - white(t)), ("gt", picture)):
            write_stack(tmp_path / f"{role}_scene_{number}.mha", [make(t) for t in range(2)])
    with open_scenes(tmp_path, dataset="dreaming") as scenes:
        assert list(scenes) == ["input_scene_0092", "input_scene_0096"]
        assert torch.equal(scenes["input_scene_0096"].truth(1), scenes["input_scene_0096"].frame(1))


@pytest.mark.parametrize("text", ["", "[", "{}", "[1]", '[{"pk": 1}]', json.dumps([job("../x", "a", "b")]),
                                  json.dumps([job("p", "a/b", "b")]), json.dumps([job("p", "a", "b", "../../etc")]), "[" * 9999])
def test_predictions_are_guarded(tmp_path, text):
    path = tmp_path / "predictions.json"
    path.write_text(text)
    if text == "{}":
        assert read_predictions(path) == []
    else:
        refused("no predictions.json", read_predictions, path)
