"""Cached arrays."""

import os
from pathlib import Path

import numpy as np
import torch
from helpers.volumes import AFFINE, SHAPE, save, volume

from medrestore.datasets import images
from medrestore.datasets.cache import cache_key, read_cached


def test_the_cache_tells_files_of_one_name_size_and_time_apart(tmp_path: Path) -> None:
    """As subjects of one archive have them: sub-01/T1w.nii and sub-02/T1w.nii."""
    for name, scale in (("sub-01", 1.0), ("sub-02", 50.0)):
        (tmp_path / name).mkdir()
        path = save(tmp_path / name / "T1w.nii", scale * volume(), AFFINE)
        os.utime(path, (1e9, 1e9))
    source = images({"kind": "nifti", "files": str(tmp_path), "cache": str(tmp_path / "cache")})
    assert len(source) == 2 * SHAPE[2]
    torch.testing.assert_close(source[0], source[SHAPE[2]])


def test_a_key_depends_on_the_file_its_state_and_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "sub-01.nii.gz"
    path.write_bytes(b"12")
    key = cache_key(path, ("a", 1))
    assert key == cache_key(path, ("a", 1)) and key.startswith("sub-01-")
    path.write_bytes(b"123")
    assert len({key, cache_key(path, ("a", 1)), cache_key(path, ("a", 2))}) == 3


def test_a_damaged_or_missing_array_counts_as_not_cached(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6.0))
    assert read_cached(tmp_path / "a.npy") is not None and read_cached(tmp_path / "b.npy") is None
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    assert read_cached(tmp_path / "a.npy") is None
