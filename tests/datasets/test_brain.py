"""Volumes of one .npz: orientation, empty slices, subjects, and nothing unpickled."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore.datasets import images
from medrestore.datasets.brain import load_volumes
from medrestore.errors import InputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    vol = np.random.default_rng(0).integers(0, 255, (5, 20, 24, 3), dtype=np.uint8)
    vol[:, :, :, 0] = 0  # an empty slice of everybody
    np.savez_compressed(tmp_path / "v.npz", vol=vol)
    return tmp_path / "v.npz"


def test_load_volumes_turns_anterior_up_and_never_unpickles(tmp_path: Path) -> None:
    vol = np.zeros((2, 5, 7, 3), np.uint8)
    vol[1, 4, 6, 2] = 255
    np.savez(tmp_path / "v.npz", vol=vol)
    loaded = load_volumes(tmp_path / "v.npz")
    assert loaded.shape == (2, 3, 7, 5) and loaded[1, 2, 0, 4] == 1
    np.savez(tmp_path / "bad.npz", vol=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="not numbers"):
        load_volumes(tmp_path / "bad.npz")


def test_volumes_are_the_slices_of_load_volumes_without_the_empty_ones(path: Path) -> None:
    source = images({"kind": "volumes", "path": str(path), "subjects": [1, 4]})
    assert len(source) == 3 * 2 and source.channels == 1
    assert torch.equal(source[3], load_volumes(path)[2, 2][None])
    assert source.groups() == {f"volumes: v: subject {n}" for n in (1, 2, 3)}


@pytest.mark.parametrize("subjects", [[0, 6], [3, 3], [-1, 2]])
def test_subjects_that_are_not_there_are_refused(path: Path, subjects: list[int]) -> None:
    with pytest.raises(InputError, match="subjects 0 to 4"):
        images({"kind": "volumes", "path": str(path), "subjects": subjects})
