"""NIfTI volumes for tests."""

from pathlib import Path

import nibabel
import numpy as np

SHAPE = (30, 34, 38)  # x, y, z


def volume(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE).astype(np.float32) * 900 + 100


def save(path: Path, ras: np.ndarray, affine: np.ndarray, codes: str = "RAS") -> Path:
    """Writes a RAS array in another stored order, with the affine that says so."""
    image = nibabel.Nifti1Image(ras, affine)
    order = nibabel.orientations.ornt_transform(nibabel.orientations.io_orientation(affine),
                                                nibabel.orientations.axcodes2ornt(codes))  # fmt: skip
    nibabel.save(image.as_reoriented(order), path)
    return path


AFFINE = np.array([[2.0, 0, 0, -30], [0, 1.0, 0, -20], [0, 0, 1.5, -10], [0, 0, 0, 1]])
