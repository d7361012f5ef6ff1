"""NIfTI volumes as slices and back: axes, directions, affine."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.volumes import AFFINE, save, volume

from medrestore.io.images.volume import encode_nifti, open_slices
from medrestore.io.volumes.nifti import AXES, as_image


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_slices_are_those_shown_and_go_back(tmp_path: Path, axis, codes: str) -> None:
    ras = volume()[:6, :7, :8]
    path = save(tmp_path / "v.nii.gz", ras, AFFINE, codes)
    images = open_slices(path, axis, max_gb=1.0)
    np.testing.assert_allclose(images.values[2, 0], as_image(ras, axis, 2), rtol=1e-6)
    (tmp_path / "w.nii.gz").write_bytes(encode_nifti(tmp_path / "w.nii.gz", images.values, images.place))
    given, made = nibabel.load(path), nibabel.load(tmp_path / "w.nii.gz")
    np.testing.assert_allclose(made.affine, given.affine, atol=1e-5)
    np.testing.assert_allclose(made.get_fdata(), given.get_fdata(), rtol=1e-6)
    assert (made.header["qform_code"], made.header["sform_code"]) == (
        given.header["qform_code"],
        given.header["sform_code"],
    )
    assert (
        encode_nifti(tmp_path / "w.nii.gz", images.values, images.place)
        == (tmp_path / "w.nii.gz").read_bytes()
    )


def test_a_coarser_volume_covers_the_same_field(tmp_path: Path) -> None:
    """A bright voxel lies where it lay, within half a coarse voxel."""
    ras = np.zeros((8, 12, 4), np.float32)
    ras[5, 3, 2] = 1
    images = open_slices(save(tmp_path / "v.nii", ras, AFFINE, "LPS"), "axial", max_gb=1.0)
    coarse = images.values.reshape(4, 1, 6, 2, 4, 2).mean((3, 5))
    (tmp_path / "w.nii").write_bytes(encode_nifti(tmp_path / "w.nii", coarse, images.place.scaled(2.0)))
    made = nibabel.load(tmp_path / "w.nii")
    at = np.argwhere(made.get_fdata() > 0)[0]
    off = made.affine @ [*at, 1] - AFFINE @ [5, 3, 2, 1]
    assert (np.abs(off[:3]) <= [1.0001, 0.5001, 1e-4]).all()
