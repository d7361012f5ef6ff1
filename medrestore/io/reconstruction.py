"""Reconstructions on disk: an HDF5 file that fastMRI's evaluation reads unchanged, and NIfTI.

A file appears under its name when it is complete.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..files import FileWriter, NewFile, altered, digest
from .closing import Closing
from .guards import (
    MAX_TEXT,
    PathLike,
    checked_dataset,
    finite,
    first_names,
    guarded,
    has,
    open_hdf5,
    require,
    to_complex64,
)

RESEARCH_USE = "Research use only. Not a medical device. Not for diagnosis."
PROVENANCE = "medrestore_provenance"
DIGESTS = "medrestore_sha256"  # JSON: sha256 of the bytes of each dataset in C order, of the provenance, of files beside
PRIVATE = ("patient", "birth", "subject", "study", "date")  # never in the name of an attribute that is written

Array = np.ndarray | Tensor


class Sink(io.FileIO):
    """A new file that never fails in the hands of HDF5, which keeps what it could not write and crashes the process over it
    at exit; the first thing that went wrong stands in `error`, and nothing is written after it."""

    error: OSError | None = None

    def __init__(self, path: PathLike):
        super().__init__(path, "w+")

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        while len(left) > 0 and self.error is None:
            try:
                left = left[super().write(left) :]
            except OSError as error:
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


class ReconstructionWriter(FileWriter):
    """Writes a reconstruction slice by slice, so that memory never has the volume.

    Args:
        path: the file to write; its folder is made when missing.
        slices, height, width: the size of the image volume.
        mask: the sampling mask of the k-space, (1, k-space width) or (k-space height, k-space width).
        samples: posterior samples per slice; 0 stores none.
        std: whether a std image is stored per slice.
        provenance: how the result was made, JSON values; written at the end, so entries may be added until `close`.
        attributes: extra attributes of the file, such as {"acceleration": 4}; nothing that identifies a patient.
        overwrite: replace an existing file.

    Raises:
        InputError: the file exists and `overwrite` is False, or it cannot be written.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        slices: int,
        height: int,
        width: int,
        mask: Array,
        samples: int = 0,
        std: bool = False,
        provenance: dict[str, Any],
        attributes: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ):
        import h5py

        self.path, self.provenance = Path(path), provenance
        private = [key for key in attributes or {} if any(word in key.lower() for word in PRIVATE)]
        require(not private, f"{path}: the attribute {', '.join(private)} could identify a patient and is not written.")
        self._beside: dict[str, str] = {}
        self._output = NewFile(self.path, overwrite=overwrite)
        self._missing = set(range(slices))
        plane = (height, width)
        shapes: dict[str, tuple[int, ...]] = {"reconstruction": plane, "reconstruction_complex": plane}
        shapes |= {"samples": (samples, *plane)} if samples > 0 else {}
        shapes |= {"std": plane} if std else {}
        self._sink = Sink(self._output.temporary)
        self._file = h5py.File(self._sink, "w")
        try:
            for name, shape in shapes.items():
                dtype = np.float32 if name in ("reconstruction", "std") else np.complex64
                chunks = (1, *shape[:-2], *plane) if name != "samples" else (1, 1, *plane)
                self._file.create_dataset(name, (slices, *shape), dtype, chunks=chunks)
            self._file["mask"] = _numpy(mask)
            self._file.attrs["research_use"] = RESEARCH_USE
            self._file.attrs.update(attributes or {})
            self._written()
        except BaseException:
            self.discard()
            raise

    def put(
        self,
        index: int,
        *,
        reconstruction: Array,
        complex_image: Array,
        samples: Array | None = None,
        std: Array | None = None,
    ) -> None:
        """Slice `index`: (h, w) magnitude and complex image, and as announced (sample, h, w) samples and (h, w) std."""
        given = {"reconstruction": reconstruction, "reconstruction_complex": complex_image, "samples": samples, "std": std}
        for name, value in given.items():
            what = f"{name!r} of slice {index}"
            require((value is not None) == (name in self._file), f"{self.path}: {what} is missing, or was not announced.")
            if value is not None:
                self._put(name, index, finite(_numpy(value), self.path, what))
        self._missing.discard(index)

    def read(self, index: int) -> np.ndarray:
        """The magnitude of slice `index` again, (h, w) float32, once it was put."""
        require(index not in self._missing, f"{self.path}: slice {index} was not written yet.")
        values: np.ndarray = self._file["reconstruction"][index]
        return values

    def add_beside(self, path: Path) -> None:
        """Records the sha256 of a complete file that belongs to this one and lies beside it."""
        self._beside[path.name.removeprefix(self.path.stem)] = digest(path)

    def _put(self, name: str, index: int, value: np.ndarray) -> None:
        dataset = self._file[name]
        require(0 <= index < len(dataset), f"{self.path}: there is no slice {index} in {len(dataset)} slices.")
        require(
            value.shape == dataset.shape[1:] and (dataset.dtype.kind == "c" or value.dtype.kind != "c"),
            f"{self.path}: {name!r} of slice {index} is {value.dtype} {value.shape}, not {dataset.dtype} {dataset.shape[1:]}.",
        )
        dataset[index] = value.astype(dataset.dtype, copy=False)
        self._file.flush()
        self._written()

    def _written(self) -> None:
        """Refuses to go on when something could not be written."""
        if (error := self._sink.error) is not None:
            raise InputError(f"{self.path} cannot be written ({error.strerror}); make room or choose another output") from error

    def close(self) -> None:
        """Writes the provenance and publishes the file; refused, leaving nothing, while slices are missing."""
        try:
            require(not self._missing, f"{self.path}: slices {sorted(self._missing)} were never written; nothing was saved.")
            text = json.dumps(self.provenance, allow_nan=False, sort_keys=True)
            self._file.attrs[PROVENANCE] = text
            digests = {name: _dataset_digest(dataset) for name, dataset in self._file.items()}
            digests["provenance"] = hashlib.sha256(text.encode()).hexdigest()
            self._file.attrs[DIGESTS] = json.dumps(digests | {"beside": self._beside}, sort_keys=True)
            self._file.close()
            self._sink.close()
            self._written()
            self._output.publish()
        except BaseException as error:
            self.discard()
            if isinstance(error, (OSError, TypeError, ValueError)):
                raise InputError(f"{self.path} cannot be saved: {error}.") from error
            raise

    def discard(self) -> None:
        try:
            self._file.close()
            self._sink.close()
        finally:
            self._output.discard()


class ReconstructionFile(Closing):
    """A reconstruction on disk; `file[i]` is the (h, w) float32 magnitude of slice i, read on access."""

    def __init__(self, path: PathLike, *, max_gb: float = 16.0):
        self.path, self._max_gb = Path(path), max_gb
        self._file = open_hdf5(path)
        try:
            slices, height, width = checked_dataset(self._file, "reconstruction", ndim=3, max_gb=max_gb).shape
            self.shape = slices, height, width
        except BaseException:
            self._file.close()
            raise

    def __repr__(self) -> str:
        return f"ReconstructionFile({str(self.path)!r}: {' x '.join(map(str, self.shape))})"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Tensor:
        return self._slice("reconstruction", index)

    def complex_image(self, index: int) -> Tensor | None:
        """(h, w) complex64; None when the file stores none."""
        return self._optional_slice("reconstruction_complex", index)

    def samples(self, index: int) -> Tensor | None:
        """(sample, h, w) complex64; None when the file stores none."""
        return self._optional_slice("samples", index)

    def std(self, index: int) -> Tensor | None:
        """(h, w) float32; None when the file stores none."""
        return self._optional_slice("std", index)

    @property
    def mask(self) -> Tensor | None:
        """The sampling mask of the k-space, float32; None when the file stores none."""
        if not has(self._file, "mask"):
            return None
        mask = checked_dataset(self._file, "mask", max_gb=1.0)
        with np.errstate(over="ignore"):
            values = guarded(self.path, lambda: mask[()]).astype(np.float32)
        return torch.from_numpy(finite(values, self.path, "its mask"))

    @property
    def provenance(self) -> dict[str, Any]:
        """The provenance; empty when another program wrote the file."""
        return _stored_provenance(self._file)

    def _optional_slice(self, name: str, index: int) -> Tensor | None:
        self._check_index(index)
        return self._slice(name, index) if has(self._file, name) else None

    def _check_index(self, index: int) -> None:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path} has {len(self)} slices, there is no slice {index}")

    def _slice(self, name: str, index: int) -> Tensor:
        self._check_index(index)
        dataset = checked_dataset(self._file, name, max_gb=self._max_gb)
        require(dataset.shape[0] == len(self), f"{self.path}: {name!r} has {dataset.shape[0]} slices, not {len(self)}.")
        values = guarded(self.path, lambda: dataset[index % len(self)])
        with np.errstate(over="ignore"):  # infinity is found below
            plain = to_complex64(values) if name in ("reconstruction_complex", "samples") else values.astype(np.float32)
        return torch.from_numpy(finite(plain, self.path, f"{name!r} of slice {index}"))

    def close(self) -> None:
        self._file.close()


def read_reconstruction(path: PathLike, *, max_gb: float = 16.0) -> ReconstructionFile:
    """Opens a reconstruction; its slices are read on access."""
    return ReconstructionFile(path, max_gb=max_gb)


def read_provenance(path: PathLike) -> dict[str, Any]:
    """The provenance of a reconstruction, the file's JSON attribute; empty when another program wrote the file."""
    with open_hdf5(path) as file:
        return _stored_provenance(file)


def damaged(path: PathLike, *, max_gb: float = 16.0) -> list[str]:
    """What of a reconstruction is not as it was written: datasets, "provenance", files beside it that are still there.

    Raises:
        InputError: it cannot be read, or has no digests: another program wrote it.
    """
    with open_hdf5(path) as file:
        digests = _json_attribute(file, DIGESTS)
        if not digests:
            raise InputError(f"{path} has no digests, so nothing can be said of its data; write the reconstruction again.")
        found = first_names(file)
        wrong = [name for name in digests if name not in (*found, "provenance", "beside")]
        for name in found:
            dataset = checked_dataset(file, name, max_gb=max_gb)
            if guarded(path, partial(_dataset_digest, dataset)) != digests.get(name):
                wrong.append(name)
        text = guarded(path, lambda: file.attrs.get(PROVENANCE))
        if not isinstance(text, str) or hashlib.sha256(text.encode()).hexdigest() != digests.get("provenance"):
            wrong.append("provenance")
    folder, beside = Path(path).parent, digests.get("beside")
    if not isinstance(beside, dict):
        return [*wrong, "beside"]
    named = {Path(f"{Path(path).stem}{end}").name: sha256 for end, sha256 in beside.items()}
    return wrong + altered(folder, {name: sha256 for name, sha256 in named.items() if (folder / name).exists()})


def _dataset_digest(dataset: Any) -> str:
    """sha256 of the bytes in C order, one entry along the first axis in memory at a time."""
    total = hashlib.sha256()
    for index in range(len(dataset)):
        total.update(np.ascontiguousarray(dataset[index]).tobytes())
    return total.hexdigest()


def _stored_provenance(file: Any) -> dict[str, Any]:
    return _json_attribute(file, PROVENANCE)


def _json_attribute(file: Any, name: str) -> dict[str, Any]:
    """An attribute that holds a JSON object; empty when there is none."""
    text = guarded(file.filename, lambda: file.attrs.get(name))
    if text is None:
        return {}
    try:
        value = json.loads(text) if isinstance(text, str) and len(text) <= MAX_TEXT else None
    except (json.JSONDecodeError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{file.filename}: its {name} is damaged or too long; write the reconstruction again.")
    return value


def _numpy(array: Array) -> np.ndarray:
    return array.detach().cpu().numpy() if isinstance(array, Tensor) else np.asarray(array)
