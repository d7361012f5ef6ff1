"""fastMRI HDF5 volumes, multi-coil and single-coil, with references or with a stored mask.

Layout: Zbontar et al., "fastMRI: An Open Dataset and Benchmarks for Accelerated MRI", arXiv:1811.08839.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..guards import checked_dataset, finite, guarded, has, lookup, open_hdf5, own_dataset, read_text, require, to_complex64
from ..hdf5 import Dataset, File
from .arrays import AXES, check_complex, has_mark
from .base import KSpaceFile, Request, Scan, remove_oversampling, sampled
from .counters import check_select
from .header import Header, parse_header


class FastMRIFile(KSpaceFile):
    """A fastMRI volume.

    Rows beyond the header's field of view are readout oversampling and are removed; without a header they are removed only
    when there are exactly twice as many as the reference has. Columns outside the header's encoding limits are zero padding
    and count as not sampled. The mask is the stored one, else what the zeros show: columns, or points where no oversampling is
    removed. A header that describes another grid than that of the array is left aside, and `notes` says so.
    """

    def __init__(self, path: Path, file: File, request: Request):
        self._file, max_gb = file, request.max_gb
        check_select(request.select, (), path)
        self._kspace = checked_dataset(file, "kspace", max_gb=max_gb)
        require(
            self._kspace.ndim in (3, 4),
            f"{path}: 'kspace' has the shape {self._kspace.shape}; fastMRI has (slice, coil, row, col) or (slice, row, col).",
        )
        if not request.implausible:
            check_complex(path, self._kspace)
        *lead, stored_rows, columns = self._kspace.shape
        slices, coils = lead if len(lead) == 2 else (lead[0], 1)
        self.kind = f"fastMRI {'multi-coil' if len(lead) == 2 else 'single-coil'}"
        self.dtype = str(self._kspace.dtype)
        self._header = parse_header(read_text(file, "ismrmrd_header"), str(path)) if has(file, "ismrmrd_header") else None
        self.has_header = self._header is not None
        self._header, self.notes = _of_grid(self._header, stored_rows, columns)
        order = ("reconstruction_rss",) if len(lead) == 2 else ("reconstruction_esc", "reconstruction_rss")
        stored = [name for name in order if has(file, name)]
        self._reference = checked_dataset(file, stored[0], ndim=3, max_gb=max_gb) if stored else None
        self.has_reference = self._reference is not None
        require(
            self._reference is None or (self._reference.shape[0] == slices and self._reference.dtype.kind == "f"),
            f"{path}: its reference has not one real image for each of the {slices} slices; download the file again.",
        )
        rows = self._rows(stored_rows)
        super().__init__(path, (slices, coils, rows, columns), request)
        self._crop = self._crop_size(rows, columns)
        inside = torch.ones(1, columns)
        if self._header is not None and self._header.center is not None and self._header.maximum is not None:
            left = self._header.encoded[1] // 2 - self._header.center
            inside[:, : max(left, 0)] = 0
            inside[:, max(left + self._header.maximum + 1, 0) :] = 0
        self._inside = inside
        self._stored_mask = self._read_mask() if has(file, "mask") else None
        lines = guarded(path, lambda: file.attrs.get("num_low_frequency"))
        self._acs = int(lines) if isinstance(lines, (int, np.integer)) and lines > 0 else None

    def _rows(self, stored: int) -> int:
        if self._header is not None:
            return min(stored, self._header.kept[0])
        if self._reference is not None and stored == 2 * self._reference.shape[-2]:
            return stored // 2
        return stored

    def _crop_size(self, rows: int, columns: int) -> tuple[int, int]:
        """The reference's size, else the header's; (columns, columns) where the k-space is narrower, as fastMRI has it."""
        if self._reference is not None:
            height, width = self._reference.shape[-2:]
        elif self._header is not None and self._header.is_interpolated(1):
            return self._header.kept
        elif self._header is not None:
            height, width = self._header.kept[0], self._header.recon[1]
        else:
            height, width = rows, columns
        if columns < width:
            height, width = min(height, columns), columns
        return min(height, rows), width

    def _read_mask(self) -> Tensor:
        mask = checked_dataset(self._file, "mask", max_gb=0.1)
        require(
            mask.size == self.shape[-1] and mask.dtype.kind in "biuf",
            f"{self.path}: 'mask' has the shape {mask.shape}, but one number for each of the {self.shape[-1]} columns is needed.",
        )
        values = guarded(self.path, lambda: mask[()]).reshape(1, -1)
        return torch.from_numpy(values != 0).float()

    def _read(self, index: int) -> Scan:
        stored = to_complex64(guarded(self.path, lambda: self._kspace[index]))
        kspace = self._finite(stored.reshape(self.shape[1], -1, self.shape[-1]), index)
        mask, inside = self._stored_mask, self._inside
        if self.request.uncentred:
            kspace, inside = torch.fft.fftshift(kspace, dim=(-2, -1)), torch.ones_like(inside)
            mask = None if mask is None else torch.fft.fftshift(mask, dim=-1)
        mask, notes = self._mask(kspace, mask, inside)
        return Scan(
            name=self.name,
            index=index,
            kspace=remove_oversampling(kspace * mask, self.shape[-2]),
            mask=mask,
            acs=self._acs,
            noise=None,
            reference=self._read_reference(index),
            crop=self._crop,
            pixel_mm=None if self._header is None else self._header.pixel_mm,
            affine=None,
            notes=notes,
        )

    def _mask(self, kspace: Tensor, stored: Tensor | None, inside: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """The mask: the stored one, as far as there are samples, else what the zeros show; within the encoding limits."""
        shown = (kspace != 0).flatten(0, -2).any(0, keepdim=True).float()
        notes = []

        def counted(columns: Tensor, said: str) -> None:
            if bool(columns.any()):
                notes.append(f"{int(columns.sum())} columns {said}.")

        counted(shown * (1 - inside), "outside the header's encoding limits hold values and are left out")
        if stored is None:
            return self._shown(kspace) * inside, tuple(notes)
        counted(shown * inside * (1 - stored), "that hold samples are left out, as the stored mask says")
        if bool(shown.any()):
            counted(stored * inside * (1 - shown), "of the stored mask hold no sample and count as not sampled")
            stored = stored * shown
        return stored * inside, tuple(notes)

    def _shown(self, kspace: Tensor) -> Tensor:
        """The mask that the zeros show; by columns where readout oversampling goes, which mixes the rows."""
        shown = sampled(kspace)
        return shown if kspace.shape[-2] == self.shape[-2] else shown.amax(0, keepdim=True)

    def _read_reference(self, index: int) -> Tensor | None:
        if self._reference is None:
            return None
        with np.errstate(over="ignore"):  # infinity is found below
            image = guarded(self.path, partial(self._reference.__getitem__, index)).astype(np.float32)
        (rows, columns), (height, width) = image.shape, self._crop
        top, left = (rows - height) // 2, (columns - width) // 2
        image = image[top : top + height, left : left + width]
        return torch.from_numpy(finite(np.ascontiguousarray(image), self.path, f"the reference of slice {index}"))

    @cached_property
    def reference_max(self) -> float | None:
        """The largest value of the stored reference volume, read slice by slice: the attribute `max` is only a claim."""
        if self._reference is None:
            return None
        images = (guarded(self.path, partial(self._reference.__getitem__, i)) for i in range(len(self)))
        return max(float(finite(image, self.path, "the reference").max()) for image in images)

    def close(self) -> None:
        self._file.close()


def _of_grid(header: Header | None, rows: int, columns: int) -> tuple[Header | None, tuple[str, ...]]:
    """The header as far as it describes the grid (rows, columns) of the array, and a note where it does not.

    Rows may be fewer: the readout oversampling is often removed before files are handed on.
    """
    if header is None or (columns == header.encoded[1] and rows in (header.encoded[0], header.kept[0])):
        return header, ()
    said = (f"The header describes {header.encoded[0]} x {header.encoded[1]} samples and the array has {rows} x {columns}; "
            "{} left aside.")
    if rows not in (header.encoded[0], header.kept[0]):
        return None, (said.format("it is"),)
    recon = (header.kept[0], *header.recon[1:])
    without = replace(header, center=None, maximum=None, encoded_mm=None, recon_mm=None, recon=recon)
    return without, (said.format("its limits and fields of view are"),)


def recognises(path: Path, begin: bytes, request: Request) -> bool:
    """An array `kspace` at the root with four axes, or with three and something that fastMRI stores beside it.

    Stated axes make it a plain array, unless they are those of fastMRI; where a header says that they are fastMRI's and
    others are stated, the file is refused.
    """
    if not has_mark(begin) or request.dataset not in (None, "kspace"):
        return False
    with open_hdf5(path) as file:
        if not looks_like_fastmri(file):
            return False
        axes = own_dataset(file, "kspace").ndim
        known = AXES if axes == 4 else tuple(name for name in AXES if name != "coil")
        stated = known if request.axes is None else tuple(request.axes)
        described = has(file, "ismrmrd_header") and axes in (3, 4)
    require(stated == known or not described or request.implausible,
            f"{path} is a fastMRI file with its header, whose axes are {','.join(known)}, and `axes` says {','.join(stated)}; "
            "leave `axes` out, or pass `implausible` where they are right.")
    return stated == known


def read(path: Path, request: Request) -> FastMRIFile:
    """A fastMRI volume."""
    file = open_hdf5(path)
    try:
        return FastMRIFile(path, file, request)
    except BaseException:
        file.close()
        raise


def looks_like_fastmri(file: File) -> bool:
    """An array `kspace` at the root with four axes, or with three and something that fastMRI stores beside it."""
    if not has(file, "kspace"):
        return False
    beside = ("ismrmrd_header", "reconstruction_rss", "reconstruction_esc", "mask")
    array = lookup(file, "kspace")
    return (isinstance(array, Dataset) and array.ndim == 4) or any(has(file, name) for name in beside)
