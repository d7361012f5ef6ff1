"""NIfTI slices: orientation, scale, what is skipped, the cache, and a slab that is never shown."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from helpers.volumes import AFFINE, SHAPE, save, volume

from medrestore.datasets import images
from medrestore.errors import InputError
from medrestore.io.volumes.nifti import open_volume


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "ASL"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_any_stored_order_is_read_as_ras(tmp_path: Path, codes: str, suffix: str) -> None:
    ras = volume()
    found = open_volume(save(tmp_path / f"v{suffix}", ras, AFFINE, codes))
    assert found.shape == SHAPE and np.allclose(found.affine, AFFINE)
    assert np.array_equal(found.read(), ras)
    assert np.array_equal(found.slice("axial", 5), ras[:, ::-1, 5].T)
    assert np.array_equal(found.slice("coronal", 7), ras[:, 7, ::-1].T)
    assert np.array_equal(found.slice("sagittal", 9), ras[9, :, ::-1].T)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_slices_are_scaled_by_the_quantile_and_empty_ones_skipped(tmp_path: Path, suffix: str) -> None:
    ras = volume()
    ras[:, :, :8] = 0
    save(tmp_path / f"sub-07_T1w{suffix}", ras, AFFINE)
    source = images({"kind": "nifti", "files": str(tmp_path), "axis": ["axial", "coronal"]})
    assert len(source) == 30 + 34 and source[0].shape == (1, 34, 30) and source[30].shape == (1, 38, 30)
    torch.testing.assert_close(source[0][0].numpy(), ras[:, ::-1, 8].T / np.quantile(ras, 0.995), rtol=1e-3, atol=1e-3)
    assert source.group_of(3) == "nifti: sub-07"


@pytest.mark.parametrize("slab", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nothing_of_a_skipped_slab_is_ever_shown(tmp_path: Path, slab: str, suffix: str) -> None:
    across = ("sagittal", "coronal", "axial").index(slab)
    at = 10
    low = AFFINE[across, across] * at + AFFINE[across, 3]
    ras = volume()
    where = [slice(None)] * 3
    where[across] = slice(at, at + 3)
    ras[tuple(where)] = 1e6 if suffix == ".nii" else 60_000  # would be seen anywhere
    save(tmp_path / f"v{suffix}", ras, AFFINE, "LPS")
    step = AFFINE[across, across]
    skip = [slab, low, low + 2 * step]
    source = images({"kind": "nifti", "files": str(tmp_path), "axis": ["axial", "coronal", "sagittal"], "skip": skip})
    clean = np.delete(ras, range(at, at + 3), across)
    seen = [float(source[i].max()) for i in range(len(source))]
    assert max(seen) <= clean.max() / np.quantile(clean, 0.995) * 1.001
    assert len(source) == sum(SHAPE) - 3
    larger = max(at, SHAPE[across] - at - 3)
    assert {n for i in range(len(source)) for n in source[i].shape[1:]} <= {*SHAPE, larger}


def test_an_oblique_volume_cannot_skip_a_slab(tmp_path: Path) -> None:
    tilted = AFFINE.copy()
    tilted[2, 1] = 0.3
    nibabel.save(nibabel.Nifti1Image(volume(), tilted), tmp_path / "v.nii")
    with pytest.raises(InputError, match="oblique"):
        images({"kind": "nifti", "files": str(tmp_path), "skip": ["axial", 0, 5]})


def test_prepared_volumes_are_kept_and_damage_is_made_good(tmp_path: Path) -> None:
    save(tmp_path / "v.nii.gz", volume(), AFFINE)
    settings = {"kind": "nifti", "files": str(tmp_path / "v.nii.gz"), "cache": str(tmp_path / "cache")}
    advanced = []
    first = images(settings)
    first.prepare(lambda label, total: lambda: advanced.append((label, total)))
    wanted = first[4]
    assert advanced == [("volumes", 1)]
    kept = sorted((tmp_path / "cache").iterdir())
    assert [path.suffix for path in kept] == [".json", ".npy"]
    stamps = [path.stat().st_mtime_ns for path in kept]
    assert torch.equal(images(settings)[4], wanted) and [path.stat().st_mtime_ns for path in kept] == stamps
    for path in kept:
        path.write_text("{")
        assert torch.equal(images(settings)[4], wanted)
    save(tmp_path / "v.nii.gz", volume(1), AFFINE)  # the file changes, so what was kept is not its
    assert not torch.equal(images(settings)[4], wanted)


def test_empty_and_oversized_volumes_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)), tmp_path / "zero.nii")
    with pytest.raises(InputError, match="shows nothing"):
        images({"kind": "nifti", "files": str(tmp_path)}).prepare()
    with pytest.raises(InputError, match="axis"):
        images({"kind": "nifti", "files": str(tmp_path), "axis": ["axial", "axial"]})
    with pytest.raises(InputError, match="axis must be"):
        images({"kind": "nifti", "files": str(tmp_path), "axis": "oblique"})
