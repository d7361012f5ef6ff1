"""k-space that is one plain array with axes that are stated: any HDF5 dataset, MATLAB files, .npy and BART .cfl."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ..file_array import FileArray
from ..guards import (
    checked_dataset,
    guarded,
    is_complex,
    is_own,
    lookup,
    names,
    open_npy,
    own_dataset,
    require,
    to_complex64,
)
from .base import KSpaceFile, Scan, sampled
from .matlab import list_variables, load_variable

if TYPE_CHECKING:
    import h5py

AXES = ("slice", "coil", "row", "col")  # row is the readout (height), col the phase encode (width)


class ArrayFile(KSpaceFile):
    """An array with named axes, read slice by slice; the mask is what the zeros of a slice show.

    Args:
        array: anything that slices like a numpy array: an HDF5 dataset, a `FileArray`, an array.
        axes: the name of each axis, of `AXES`; an axis `coil` or `slice` that is not named has length 1.
    """

    def __init__(self, path: Path, array: Any, axes: Sequence[str], *, kind: str, close: Callable[[], None] = lambda: None):
        self._array, self._axes, self._close = array, check_axes(axes, array.shape, path), close
        self.kind, self.dtype = kind, str(array.dtype)
        length = dict(zip(self._axes, array.shape, strict=True))
        slices, coils, height, width = (int(length.get(name, 1)) for name in AXES)
        super().__init__(path, (slices, coils, height, width))

    def _read(self, index: int) -> Scan:
        chosen = tuple(index if name == "slice" else slice(None) for name in self._axes)
        remaining = [name for name in self._axes if name != "slice"]
        part = to_complex64(guarded(self.path, lambda: np.asarray(self._array[chosen])))
        part = part.transpose([remaining.index(name) for name in AXES[1:] if name in remaining])
        kspace = self._finite(np.ascontiguousarray(part).reshape(self.shape[1:]), index)
        return Scan(
            name=self.name,
            index=index,
            kspace=kspace,
            mask=sampled(kspace),
            acs=None,
            noise=None,
            reference=None,
            crop=self.shape[-2:],
            pixel_mm=None,
            affine=None,
        )

    def close(self) -> None:
        self._close()


def check_axes(axes: Sequence[str], shape: tuple[int, ...], path: Path) -> tuple[str, ...]:
    """The axes themselves, refused unless they are known names, each once, as many as the array has, with row and col."""
    axes = tuple(axes)
    unknown = [name for name in axes if name not in AXES]
    require(not unknown, f"{path}: unknown axes {', '.join(map(repr, unknown))}; the names are {', '.join(AXES)}.")
    require(len(set(axes)) == len(axes), f"{path}: the axes {','.join(axes)} name one twice; name each axis once.")
    require(
        len(axes) == len(shape),
        f"{path}: the array has the shape {tuple(shape)}, but {len(axes)} axes are named ({','.join(axes)}); name each.",
    )
    require({"row", "col"} <= set(axes), f"{path}: the axes {','.join(axes)} lack row or col; both are needed.")
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


def read_npy(path: Path, *, axes: Sequence[str] | None, max_gb: float) -> ArrayFile:
    """A .npy array: (coil, row, col) or (slice, coil, row, col), or as the axes say."""
    array = FileArray(open_npy(path, max_gb=max_gb))
    if axes is None:
        require(array.ndim in (3, 4), f"{path} has the shape {array.shape}; state its axes, as axes=('row', 'col').")
        axes = AXES[-array.ndim :]
    return ArrayFile(path, array, axes, kind="NumPy array")


def read_hdf5(
    path: Path, file: h5py.File, *, dataset: str | None, axes: Sequence[str] | None, max_gb: float, kind: str
) -> ArrayFile:
    """An array of an HDF5 file (MATLAB v7.3 is one), its axes in the order in which h5py shows them.

    Without `dataset`, the only complex array at the root is taken.
    """
    import h5py

    if dataset is None:
        found = [name for name in names(file, 1000) if is_own(file, name)]
        arrays = [own_dataset(file, name) for name in found if isinstance(lookup(file, name), h5py.Dataset)]
        dataset = _only([array.name.lstrip("/") for array in arrays if is_complex(array.dtype)], found, path)
    array = checked_dataset(file, dataset, max_gb=max_gb)
    return ArrayFile(path, array, _stated(axes, dataset, array.shape, path), kind=kind, close=file.close)


def _only(complex_arrays: list[str], all_names: list[str], path: Path) -> str:
    if len(complex_arrays) != 1:
        raise InputError(
            f"{path} holds {len(complex_arrays) or 'no'} complex arrays; name the one to read, such as dataset='kspace' "
            f"(it holds {', '.join(all_names[:20]) or 'nothing'})."
        )
    return complex_arrays[0]


def read_mat(path: Path, *, dataset: str | None, axes: Sequence[str] | None, max_gb: float) -> ArrayFile:
    """An array of a MATLAB file up to v7 (not HDF5), its axes in MATLAB's order, which is also the one that scipy shows.

    Without `dataset`, the only complex array is taken. Structs, cells and objects are never loaded.
    """
    listed = list_variables(path)
    if dataset is None:
        dataset = _only([found.name for found in listed if found.is_complex], [found.name for found in listed], path)
    numeric = {found.name: found for found in listed if found.is_numeric}
    require(dataset in numeric, f"{path} holds no numeric array {dataset!r}; it holds {', '.join(numeric) or 'none'}.")
    shape = numeric[dataset].shape
    axes = check_axes(_stated(axes, dataset, shape, path), shape, path)
    return ArrayFile(path, load_variable(path, numeric[dataset], max_gb=max_gb), axes, kind="MATLAB array")
