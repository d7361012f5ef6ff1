"""The scan of a plan, and its coil maps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ready import PLAN
from helpers.scans import SHAPE, kspace

from medrestore.errors import InputError
from medrestore.recon.opening import open_scan
from medrestore.recon.plan import Reading


def test_maps_of_another_scan(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", kspace()[0])
    np.save(tmp_path / "maps.npy", np.ones((1, 3, *SHAPE), np.complex64))
    with (pytest.raises(InputError, match=r"maps\.npy holds maps of shape \(1, 3, 48, 40\)"),
          open_scan(tmp_path / "scan.npy", replace(PLAN, maps=str(tmp_path / "maps.npy")), Reading())):
        pass


def test_maps_look_like_images_and_are_read_all_the_same(tmp_path: Path) -> None:
    data = kspace()[0]
    np.save(tmp_path / "scan.npy", data)
    np.save(tmp_path / "maps.npy", np.ones(data.shape, np.float32))  # real, as those of a birdcage may be
    with open_scan(tmp_path / "scan.npy", replace(PLAN, maps=str(tmp_path / "maps.npy")), Reading()) as (_, maps):
        assert maps is not None and torch.equal(maps[0].kspace, torch.ones(1, 4, *SHAPE, dtype=torch.complex64))
