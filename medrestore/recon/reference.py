"""Another image of the same patient, registered to the scan, for priors that take one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..codecs import Padded
from ..errors import InputError
from ..io import read_reconstruction
from ..io.guards import check_size, existing
from ..operators import Crop
from ..priors import Prior
from ..restoration import image_size, padded_size
from .prepared import Prepared

QUANTILE = 0.99  # of the magnitude, which becomes 1, as that of the image does
REGISTERED = "give an image on the grid of this scan, registered to it beforehand: nothing is moved or resampled here"


class ReferenceImages:
    """The slices of a file: an output of recon, or a .npy (slice, row, col) or (row, col).

    Args:
        path: of the file.
        max_gb: the most gigabytes that it may declare.

    Raises:
        InputError: no such file, or of another kind.
    """

    def __init__(self, path: Path, *, max_gb: float) -> None:
        self.path = existing(path)
        self._images = self._array(max_gb) if path.suffix.lower() == ".npy" else self._reconstruction(max_gb)

    def _array(self, max_gb: float) -> np.ndarray:
        try:
            mapped = np.load(self.path, mmap_mode="r", allow_pickle=False)
            check_size(str(self.path), mapped.shape, mapped.dtype.itemsize, max_gb=max_gb)
            images = np.array(mapped)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"{self.path} is no .npy of numbers, or damaged ({error}); save it again by numpy.save") from error
        if images.dtype.kind not in "iufc" or images.ndim not in (2, 3):
            raise InputError(f"{self.path} holds {images.dtype} {images.shape}, and a reference image is numbers of "
                             "(slice, row, col) or (row, col)")
        return images if images.ndim == 3 else images[None]

    def _reconstruction(self, max_gb: float) -> np.ndarray:
        with read_reconstruction(self.path, max_gb=max_gb) as file:
            return np.stack([file[index].numpy() for index in range(len(file))])

    def check_slices(self, number: int) -> None:
        """Refuses a file with another number of slices than the scan has."""
        if len(self._images) != number:
            raise InputError(f"{self.path} holds {len(self._images)} slices and the scan {number}; {REGISTERED}")

    def __getitem__(self, index: int) -> Tensor:
        """Slice `index`, (row, col) real or complex."""
        return torch.from_numpy(np.ascontiguousarray(self._images[index]))


def with_reference(prepared: Prepared, image: Tensor, name: str) -> Prepared:
    """A slice with another image of the same object beside it.

    Args:
        image: (row, col) real or complex, of the size of the image as shown or of the reconstruction grid.
        name: of the image, for complaints.

    Raises:
        InputError: another size, values that are not finite, or none that is not 0.
    """
    grid = image_size(prepared.problem)
    shown = min(prepared.crop[0], grid[0]), min(prepared.crop[1], grid[1])
    size = tuple(image.shape)
    if size not in (shown, grid):
        raise InputError(f"{name} is {' x '.join(map(str, size))} pixels, and the image of the scan is {shown[0]} x {shown[1]}; "
                         f"{REGISTERED}")
    if not bool(image.isfinite().all()):
        raise InputError(f"{name} has values that are not finite; replace them by 0 first")
    magnitude = (image.abs() if image.is_complex() else image.float().clamp(min=0)).float()
    bright = float(np.quantile(magnitude.numpy(), QUANTILE))
    if bright <= 0:
        raise InputError(f"{name} is empty; leave it out, or give the slice that shows the same as the scan")
    whole = magnitude if size == grid else Crop(grid, shown).adjoint(magnitude)
    return replace(prepared, beside=(whole / bright)[None, None].to(prepared.problem.y.device))


def told(prior: Prior, prepared: Prepared) -> Prior:
    """The prior, given what lies beside a slice."""
    if prepared.beside is None:
        return prior
    size = image_size(prepared.problem)
    return prior.with_reference(Padded(padded_size(prior, size), size).encode(prepared.beside))
