"""HDF5 files read by the child of this process (see `medrestore.child`): the HDF5 library never parses one here.

The classes look like those of h5py, as far as readers need them. Soft and external links are never followed.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..child import Limits, shared
from ..child.messages import type_of
from .closing import Closing

SMALL = Limits()  # of questions about a header
SPARE = SMALL.memory  # bytes that reading takes beside the data
PACE = 1e7  # bytes a second, which the slowest filter exceeds
RECORD_SECONDS = 1e-3  # that a record of a different length may take
LONGEST_NAMES = 4096  # of a group


class File(Closing):
    """An open HDF5 file; also a context manager. `close()` may be called twice.

    Args:
        locking: whether a file that another program writes is refused; False for disks that know no locks.

    Raises:
        OSError: no HDF5 file, or a damaged one.
        InputError: the library that reads it crashed or did not come to an end.
    """

    def __init__(self, path: Path, *, locking: bool = True) -> None:
        self.filename, self.size, self._locking = str(path), path.stat().st_size, locking
        self._number = shared().number()
        self._found: dict[str, dict[str, Any]] = {}  # plain data, so that nothing here refers back to this file
        self.attrs = Attributes(self)
        self._collected = weakref.finalize(self, shared().forget, self._number)
        self._collected.atexit = False
        self.ask("opened", SMALL)

    def ask(self, question: str, limits: Limits, **arguments: Any) -> Any:
        """The answer of the child to a question about this file."""
        if not self._collected.alive:
            raise ValueError(f"{self.filename} is closed")
        return shared().ask(self._number, self.filename, question, limits, locking=self._locking, **arguments)

    def entry(self, name: str) -> Hdf5Group | Dataset | str:
        """What is at a path; a word where that is no group and no array: `missing`, `link` or `other`."""
        name = "/".join(filter(None, name.split("/")))
        if name not in self._found:
            self._found[name] = self.ask("entry", SMALL, name=name).value
        found = self._found[name]
        if found["kind"] == "group":
            return Hdf5Group(self, name)
        return Dataset(self, name, found) if found["kind"] == "dataset" else str(found["kind"])

    def close(self) -> None:
        """Closes the file, so that it may be written again; a second time does nothing."""
        if self._collected.detach() is not None:
            shared().close(self._number)


class Attributes:
    """The attributes of a file that are one text or number."""

    def __init__(self, file: File) -> None:
        self._file = weakref.proxy(file)

    def get(self, name: str) -> str | int | float | None:
        """The value; None where it is missing, or neither a text nor a number."""
        value: str | int | float | None = self._file.ask("attribute", SMALL, name=name).value
        return value


class Hdf5Group:
    """A group of a file."""

    def __init__(self, file: File, name: str) -> None:
        self.file, self.name = file, name

    def entry(self, name: str) -> Hdf5Group | Dataset | str:
        """What is at a path inside of it; see `File.entry`."""
        return self.file.entry(f"{self.name}/{name}")

    def names(self, limit: int = LONGEST_NAMES) -> list[str]:
        """The first names in it, links included."""
        return sorted(self.file.ask("listed", SMALL, name=f"/{self.name}", limit=limit).value)


class Dataset:
    """An array of a file; it is read by indexing, as with h5py.

    Attributes:
        shape: None where it has no elements at all.
        chunks: the shape of a chunk; None for an array in one piece.
        elsewhere: whether its values lie in other files.
        stored: bytes that the file keeps of it.
        filters: how many filters its chunks went through.
    """

    def __init__(self, file: File, name: str, about: dict[str, Any]) -> None:
        self.file, self.name = file, name
        self.dtype = type_of(about["type"])
        self.shape: tuple[int, ...] = None if about["shape"] is None else tuple(about["shape"])  # type: ignore[assignment]
        self.chunks: tuple[int, ...] | None = None if about["chunks"] is None else tuple(about["chunks"])
        self.is_text = isinstance(about["type"], dict) and "text" in about["type"]
        self.elsewhere: bool = about["elsewhere"]
        self.stored: int = about["stored"]
        self.filters: int = about["filters"]

    @property
    def ndim(self) -> int:
        return 0 if self.shape is None else len(self.shape)

    @property
    def size(self) -> int:
        return 0 if self.shape is None else math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """The selected part: numbers, or records of which some fields differ in length."""
        return self._records(key) if self._ragged else self._numbers(key, None, self.dtype)

    def fields(self, name: str) -> RecordField:
        """One field of its records, to be indexed."""
        return RecordField(self, name)

    def text(self, most: int) -> bytes:
        """Its one text, cut behind `most` bytes."""
        (data,) = self.file.ask("text", SMALL, name=f"/{self.name}").arrays
        return data.tobytes()[:most]

    @cached_property
    def _ragged(self) -> bool:
        return any(self.dtype[name].hasobject for name in self.dtype.names or ())

    def _numbers(self, key: Any, field: str | None, dtype: np.dtype) -> np.ndarray:
        if dtype.hasobject:
            raise TypeError(f"{self.name!r} holds {dtype}, not numbers")
        shape = self._selected(key)
        size = math.prod(shape) * dtype.itemsize
        read = math.prod(shape) * self.dtype.itemsize  # of a field, whole records are read
        chunk = math.prod(self.chunks or ()) * self.dtype.itemsize
        limits = Limits(memory=SPARE + 2 * (size + read + chunk), seconds=SMALL.seconds + (read + chunk) / PACE, answer=size)
        (data,) = self.file.ask("array", limits, name=f"/{self.name}", field=field, key=_plain_selection(key, self.shape)).arrays
        return data.view(dtype).reshape(shape)

    def _records(self, key: Any) -> np.ndarray:
        shape = self._selected(key)
        count = math.prod(shape)
        most = 2 * self.file.size + count * self.dtype.itemsize  # values of a different length are not compressed
        limits = Limits(memory=SPARE + 3 * most, seconds=SMALL.seconds + most / PACE + count * RECORD_SECONDS, answer=most)
        answer = self.file.ask("records", limits, name=f"/{self.name}", key=_plain_selection(key, self.shape))
        rows, arrays = np.empty(count, self.dtype), iter(answer.arrays)
        for name in self.dtype.names or ():
            kind = self.dtype[name]
            if kind.metadata is None:
                rows[name] = next(arrays).view(kind).reshape(count)
                continue
            lengths, values = next(arrays).view(np.int64), next(arrays).view(kind.metadata["vlen"])
            ends = np.cumsum(lengths)
            if len(lengths) != count or (lengths < 0).any() or (count and ends[-1] != len(values)):
                raise ValueError(f"{name!r} of {self.name!r} is not as long as its records say")
            for at in range(count):
                rows[name][at] = values[ends[at] - lengths[at] : ends[at]]
        return rows.reshape(shape)

    def _selected(self, key: Any) -> tuple[int, ...]:
        """The shape of a selection, computed on one number that is repeated."""
        return np.broadcast_to(np.zeros((), np.uint8), self.shape)[key].shape


class RecordField:
    """One field of the records of an array."""

    def __init__(self, records: Dataset, name: str) -> None:
        self._records, self._name = records, name

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._records._numbers(key, self._name, self._records.dtype[self._name])


def _plain_selection(key: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """A selection as plain data: a whole number, [start, stop, step] or {"at": [...]} for each axis that it names.

    Raises:
        TypeError: a selection of another kind.
    """
    parts: Sequence[Any] = key if isinstance(key, tuple) else (key,)
    said: list[Any] = []
    for part, length in zip(parts, shape, strict=False):
        if isinstance(part, slice):
            said.append([*part.indices(length)])
        elif isinstance(part, int | np.integer):
            said.append(int(part) % length)
        elif isinstance(part, np.ndarray) and part.ndim == 1 and part.dtype.kind in "iu":
            said.append({"at": part.tolist()})
        else:
            raise TypeError(f"an array of a file cannot be indexed by {part!r}")
    return said or None
