"""k-space that is one plain array with axes that are stated: any HDF5 dataset, MATLAB files, .npy and BART .cfl."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...errors import InputError
from ...fft import ifft2c
from ..file_array import FileArray
from ..guards import (
    check_size,
    checked_dataset,
    first_names,
    guarded,
    has,
    is_complex,
    is_own_dataset,
    lookup,
    open_hdf5,
    open_npy,
    own_dataset,
    require,
    to_complex64,
)
from ..hdf5 import Dataset, File
from .base import DEFAULT, KSpaceFile, Request, Scan, sampled
from .counters import AVERAGED, COUNTERS, SEPARABLE, check_select, note
from .coverage import readout_notes
from .matlab import list_variables, load_variable
from .plausible import SLICES, Doubt, slices_doubt

AXES = ("slice", "coil", "row", "col")  # row is the readout (height), col the phase encode (width)
VOLUME = ("coil", "row", "partition", "col")  # of a 3-D scan: partition is its second phase encode
SLAB = ("coil", "partition", "col")  # of a 3-D scan that is an image along its readout already, whose positions are slices
PARTS = ("complex", "channel")  # real and imaginary part on an axis of two, or one after the other along that of the coils
NAMES = (*AXES, "partition", *PARTS, *COUNTERS)


class ArrayFile(KSpaceFile):
    """An array with named axes, read slice by slice; the mask is what the zeros of a slice show.

    Args:
        array: anything that slices like a numpy array: an array of an HDF5 file, a `FileArray`, an array.
        axes: the name of each axis, of `NAMES`; an axis `coil` or `slice` that is not named has length 1.
        request: how to read it.
    """

    def __init__(self, path: Path, array: Any, axes: Sequence[str], *, kind: str, request: Request = DEFAULT,
                 close: Callable[[], None] = lambda: None):
        self._array, self._axes, self._close = array, check_axes(axes, array.shape, path), close
        self.kind, self.dtype = kind, str(array.dtype)
        self._length = dict(zip(self._axes, map(int, array.shape), strict=True))
        if not (request.implausible or set(PARTS) & set(self._axes)):
            check_complex(path, array)
        require(not (is_complex(array.dtype) and set(PARTS) & set(self._axes)),
                f"{path} is complex already; leave complex and channel out of its axes.")
        coils = self._length.get("channel", 0) // 2 or self._length.get("coil", 1)
        self.is_volume, self._encoded = "partition" in self._axes, {"row", "partition"} <= set(self._axes)
        rows = self._length["partition" if self.is_volume else "row"]
        sizes = (self._length["row"] if self._encoded else self._length.get("slice", 1), coils, rows, self._length["col"])
        if self._encoded:
            check_size(str(path), sizes, 8, max_gb=request.max_gb)
        super().__init__(path, sizes, request)
        self._select, self.notes = self._counters()

    def _counters(self) -> tuple[dict[str, int], tuple[str, ...]]:
        """Of each axis that is a counter and not averaged, the number to read; and notes on those that are longer than 1."""
        present, asked = [name for name in COUNTERS if name in self._axes], self.request.select
        check_select(asked, present, self.path)
        self.counters = {name: tuple(range(self._length[name])) for name in present if name in SEPARABLE}
        chosen, notes = {}, []
        for name in present:
            count, number = self._length[name], asked.get(name, 0)
            require(0 <= number < count, f"{self.path} holds no {name} {number}; `select.{name}` may be 0 to {count - 1}.")
            if name in asked or name not in AVERAGED:
                chosen[name] = number
            if count > 1:
                notes.append(note(name, count, number, name in asked, range(count)))
        return chosen, tuple(notes)

    def _read(self, index: int) -> Scan:
        kspace = self._finite(self._hybrid[0][index] if self._encoded else self._slice(index), index)
        if self.request.uncentred and not self._encoded:
            kspace = torch.fft.fftshift(kspace, dim=(-2, -1))
        return Scan(name=self.name, index=index, kspace=kspace, mask=sampled(kspace), acs=None, noise=None, reference=None,
                    crop=self.shape[-2:], pixel_mm=None, affine=None, notes=self._hybrid[1] if self._encoded else ())

    def _slice(self, index: int) -> np.ndarray:
        """(coil, row, col) complex64 of a slice, repetitions averaged."""
        return self._part({"slice": index}, SLAB if self.is_volume else AXES[1:]).reshape(self.shape[1:])

    @cached_property
    def _hybrid(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """(row, coil, partition, col) complex64 of a 3-D scan, an image along its readout: all that memory holds of the file; and
        what is said of its readout.

        Made coil by coil, where coils have an axis of their own.
        """
        hybrid, hit = np.empty(self.shape, np.complex64), torch.zeros(self._length["row"], dtype=torch.bool)
        axes = (0, 1, 2) if self.request.uncentred else ()
        for coil in range(self._length["coil"]) if "coil" in self._axes else (slice(None),):
            part = self._part({} if isinstance(coil, slice) else {"coil": coil}, VOLUME)
            for number, one in enumerate(part.reshape(-1, self._length["row"], *self.shape[2:])):
                values = torch.from_numpy(one)
                values = torch.fft.fftshift(values, dim=axes) if axes else values
                hit |= (values != 0).flatten(1).any(1)
                hybrid[:, number if isinstance(coil, slice) else coil] = ifft2c(values, axes=(0,)).numpy()
        return hybrid, readout_notes(hit)

    def _part(self, fixed: Mapping[str, int], wanted: Sequence[str]) -> np.ndarray:
        """The wanted axes, complex64, where others are fixed; repetitions averaged."""
        at = {**self._select, **fixed}
        part = guarded(self.path, lambda: np.asarray(self._array[tuple(at.get(name, slice(None)) for name in self._axes)]))
        axes = [name for name in self._axes if name not in at]
        if "complex" in axes:
            part = np.moveaxis(part, axes.index("complex"), -1)
            axes.remove("complex")
            part = _complex_of(part[..., 0], part[..., 1])
        elif "channel" in axes:
            part = np.moveaxis(part, axes.index("channel"), 0)
            axes.remove("channel")
            axes.insert(0, "coil")
            part = _complex_of(part[::2], part[1::2])
        else:
            part = to_complex64(part)
        repeated = [name for name in AVERAGED if name in axes]
        part = part.transpose([axes.index(name) for name in (*repeated, *wanted) if name in axes])
        kept = [self._length[name] for name in wanted[1:] if name in axes]
        part = part.reshape(math.prod(self._length[name] for name in repeated), -1, *kept)
        if len(part) > 1:  # over the times that a sample was taken
            part = part.sum(0) / np.maximum((part != 0).any(1).sum(0), 1).astype(np.float32)
        return np.ascontiguousarray(part.reshape(-1, *kept))

    def _doubt(self, scan: Scan) -> Doubt | None:
        return super()._doubt(scan) or self._slices_doubt

    @cached_property
    def _slices_doubt(self) -> Doubt | None:
        """Whether the axis of the slices is one of k-space."""
        count = self.shape[0]
        if count < SLICES or self._encoded:
            return None
        middle, before, after = (float(np.square(np.abs(self._slice(count // 2 + step), dtype=np.float64)).sum())
                                 for step in (0, -(count // 8), count // 8))
        return slices_doubt((middle, before, after))

    def close(self) -> None:
        self._close()


def _complex_of(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    out = np.empty(real.shape, np.complex64)
    with np.errstate(over="ignore"):  # infinity is found when a slice is read
        out.real, out.imag = real, imaginary
    return out


def check_complex(path: Path, array: Any) -> None:
    """Refuses real numbers, which k-space never is."""
    if not is_complex(array.dtype):
        raise InputError(
            f"{path}: the array {tuple(array.shape)} holds {array.dtype}, and k-space is complex; where real and imaginary "
            "parts are stored, name their axis by `axes`: complex where they lie on an axis of two, channel where they take "
            "turns along that of the coils, as axes=('slice', 'row', 'col', 'channel'); magnitudes alone cannot be used."
        )


def check_axes(axes: Sequence[str], shape: tuple[int, ...], path: Path) -> tuple[str, ...]:
    """The axes themselves, refused unless they are known names, each once, as many as the array has, with row and col."""
    axes = tuple(axes)
    unknown = [name for name in axes if name not in NAMES]
    require(not unknown, f"{path}: unknown axes {', '.join(map(repr, unknown))}; the names are {', '.join(NAMES)}.")
    require(len(set(axes)) == len(axes), f"{path}: the axes {','.join(axes)} name one twice; name each axis once.")
    require(
        len(axes) == len(shape),
        f"{path}: the array has the shape {tuple(shape)}, but {len(axes)} axes are named ({','.join(axes)}); name each.",
    )
    require(not {"slice", "row", "partition"} <= set(axes), f"{path}: its axes name slice, row and partition; a 3-D scan has "
            "slices along its readout only, so select one slab and name its axes without slice.")
    require("col" in axes and bool({"row", "partition"} & set(axes)), f"{path}: the axes {','.join(axes)} lack row or col; both "
            "are needed (partition and col where the readout of a 3-D scan is decoded).")
    length = dict(zip(axes, shape, strict=True))
    require(length.get("complex", 2) == 2, f"{path}: its axis complex has {length.get('complex')} entries, not a real and an "
            "imaginary part; name another axis so.")
    alone = "channel" not in axes or not {"coil", "complex"} & set(axes)
    require(length.get("channel", 2) % 2 == 0 and alone,
            f"{path}: an axis channel has the real and the imaginary part of each coil in turn, an even number, and takes the "
            "place of coil and complex.")
    return axes


def _stated(axes: Sequence[str] | None, name: str, shape: tuple[int, ...], path: Path) -> Sequence[str]:
    """The axes, refused with the shape and an example where they are None."""
    if axes is None:
        example = ("coil", "slice", "col", "row")[-len(shape) :] if len(shape) != 3 else ("coil", "row", "col")
        raise InputError(
            f"{path}: {name!r} has the shape {tuple(shape)} and does not say what its axes are; state them, "
            f"such as dataset={name!r}, axes={example!r} (row is the readout, col the phase encode)."
        )
    return axes


def recognises_npy(path: Path, begin: bytes, request: Request) -> bool:
    """NumPy's mark at the beginning."""
    return begin.startswith(b"\x93NUMPY")


def read_npy(path: Path, request: Request) -> ArrayFile:
    """A .npy array: (coil, row, col) or (slice, coil, row, col), or as the axes say."""
    array, axes = FileArray(open_npy(path, max_gb=request.max_gb)), request.axes
    if axes is None:
        require(array.ndim in (3, 4), f"{path} has the shape {array.shape}; state its axes, as axes=('row', 'col').")
        axes = AXES[-array.ndim :]
    return ArrayFile(path, array, axes, kind="NumPy array", request=request)


def recognises_hdf5(path: Path, begin: bytes, request: Request) -> bool:
    """Any HDF5 file, also behind the 512 bytes of text that MATLAB v7.3 puts before it."""
    return has_mark(begin)


def has_mark(begin: bytes) -> bool:
    """Whether a file that begins so is HDF5."""
    return any(begin[at:].startswith(b"\x89HDF\r\n\x1a\n") for at in (0, 512))


def read_hdf5(path: Path, request: Request) -> ArrayFile:
    """An array of an HDF5 file (MATLAB v7.3 is one), its axes in the order in which h5py shows them.

    Without `dataset`, the only complex array at the root is taken.
    """
    with path.open("rb") as stream:
        kind = "MATLAB v7.3 array" if stream.read(10) == b"MATLAB 7.3" else "HDF5 array"
    file = open_hdf5(path)
    try:
        name = request.dataset or _only_array(file, path)
        array = checked_dataset(file, name, max_gb=request.max_gb)
        axes = _stated(request.axes, name, array.shape, path)
        found = ArrayFile(path, array, axes, kind=kind, request=request, close=file.close)
        beside = [other for other in ("ismrmrd_header", "mask", "reconstruction_rss", "reconstruction_esc") if has(file, other)]
        if beside and name == "kspace":
            found.notes += (f"As `axes` are stated, {', '.join(beside)} beside the array are left aside.",)
        return found
    except BaseException:
        file.close()
        raise


def _only_array(file: File, path: Path) -> str:
    found = [name for name in first_names(file, 1000) if is_own_dataset(file, name)]
    arrays = [own_dataset(file, name) for name in found if isinstance(lookup(file, name), Dataset)]
    return _only([array.name for array in arrays if is_complex(array.dtype)], found, path)


def _only(complex_arrays: list[str], all_names: list[str], path: Path) -> str:
    if len(complex_arrays) != 1:
        raise InputError(
            f"{path} holds {len(complex_arrays) or 'no'} complex arrays; name the one to read, such as dataset='kspace' "
            f"(it holds {', '.join(all_names[:20]) or 'nothing'})."
        )
    return complex_arrays[0]


def recognises_mat(path: Path, begin: bytes, request: Request) -> bool:
    """MATLAB's text of level 5 at the beginning."""
    return begin.startswith(b"MATLAB 5.0")


def read_mat(path: Path, request: Request) -> ArrayFile:
    """An array of a MATLAB file up to v7 (not HDF5), its axes in MATLAB's order, which is also the one that scipy shows.

    Without `dataset`, the only complex array is taken. Structs, cells and objects are never loaded.
    """
    listed = list_variables(path)
    dataset = request.dataset
    if dataset is None:
        dataset = _only([found.name for found in listed if found.is_complex], [found.name for found in listed], path)
    numeric = {found.name: found for found in listed if found.is_numeric}
    require(dataset in numeric, f"{path} holds no numeric array {dataset!r}; it holds {', '.join(numeric) or 'none'}.")
    shape = numeric[dataset].shape
    axes = check_axes(_stated(request.axes, dataset, shape, path), shape, path)
    array = load_variable(path, numeric[dataset], max_gb=request.max_gb)
    return ArrayFile(path, array, axes, kind="MATLAB array", request=request)
