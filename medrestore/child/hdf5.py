"""Questions about HDF5 files, answered in the child. Only hard links are followed, and only data in the file itself is read."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from .messages import plain_dtype
from .opened import OpenFiles, Reply

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3  # filters of the format
CHECKSUM = 4  # bytes that the last one adds
LONGEST_TEXT = 1 << 20  # bytes of a text or an attribute; those that are read hold some kilobytes


class HDF5(OpenFiles[h5py.File]):
    """Open HDF5 files."""

    def __init__(self) -> None:
        super().__init__()
        self._whole: set[tuple[int, str, tuple[int, ...]]] = set()  # chunks whose length was checked

    def _open(self, path: str, *, locking: bool) -> h5py.File:
        return h5py.File(path, "r", **({} if locking else {"locking": False}))

    def _close(self, file: h5py.File) -> None:
        file.close()

    def _questions(self) -> Mapping[str, Callable[..., Reply]]:
        return {"opened": self._opened, "listed": self._listed, "entry": self._entry, "attribute": self._attribute,
                "text": self._text, "array": self._array, "records": self._records}

    def _opened(self, number: int) -> Reply:
        return None, []

    def _listed(self, number: int, name: str, limit: int) -> Reply:
        """The first names in a group; h5py gives damaged ones as bytes, which are left out."""
        group = self._files[number][name]
        return [one for one in itertools.islice(group, limit) if isinstance(one, str)], []

    def _entry(self, number: int, name: str) -> Reply:
        """What is at a path: `missing`, `link`, `group`, `other`, or a `dataset` and what its header says."""
        group: Any = self._files[number]["/"]
        for part in filter(None, name.split("/")):
            if not isinstance(group, h5py.Group) or not group.id.links.exists(part.encode()):
                return {"kind": "missing"}, []
            if group.id.links.get_info(part.encode()).type != h5py.h5l.TYPE_HARD:
                return {"kind": "link"}, []
            group = group[part]
        if not isinstance(group, h5py.Dataset):
            return {"kind": "group" if isinstance(group, h5py.Group) else "other"}, []
        check_apart(group.dtype)
        return {
            "kind": "dataset", "shape": group.shape, "chunks": group.chunks, "type": plain_dtype(group.dtype),
            "elsewhere": bool(group.is_virtual or group.external), "stored": group.id.get_storage_size(),
            "filters": group.id.get_create_plist().get_nfilters(),
        }, []

    def _attribute(self, number: int, name: str) -> Reply:
        """An attribute of the file that is one text or number; None where it is missing or anything else."""
        file = self._files[number]
        if not h5py.h5a.exists(file["/"].id, name.encode()):
            return None, []
        attribute = h5py.h5a.open(file["/"].id, name.encode())
        kind = attribute.get_type()
        simple = isinstance(kind, h5py.h5t.TypeStringID | h5py.h5t.TypeIntegerID | h5py.h5t.TypeFloatID)
        if not simple or attribute.get_space().get_simple_extent_npoints() != 1 or kind.get_size() > LONGEST_TEXT:
            return None, []
        value = np.ravel(np.asarray(file.attrs[name], dtype=object))[0]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise ValueError(f"the attribute {name!r} is longer than {LONGEST_TEXT} bytes")
        return value, []

    def _text(self, number: int, name: str) -> Reply:
        """A dataset that is one text, as bytes."""
        value = np.ravel(self._files[number][name][()])[0]
        data = value.encode() if isinstance(value, str) else bytes(value)
        return None, [np.frombuffer(data[: LONGEST_TEXT + 1], np.uint8)]

    def _array(self, number: int, name: str, field: str | None, key: list[Any] | None) -> Reply:
        """A part of a dataset of numbers, or of one field of its records."""
        dataset = self._files[number][name]
        chosen = selection(key)
        self._check_chunks(number, dataset, chosen)
        part = dataset if field is None else dataset.fields(field)
        return None, [np.ascontiguousarray(part[chosen])]

    def _records(self, number: int, name: str, key: list[Any] | None) -> Reply:
        """Records with fields of different lengths: of such a field the lengths and all the values, of others the values."""
        dataset = self._files[number][name]
        chosen = selection(key)
        self._check_chunks(number, dataset, chosen)
        rows, arrays = dataset[chosen], []
        for field in rows.dtype.names:
            base = h5py.check_vlen_dtype(rows.dtype[field])
            if base is None:
                arrays.append(np.ascontiguousarray(rows[field]))
            else:
                arrays.append(np.array([len(row) for row in rows[field]], np.int64))
                arrays.append(np.concatenate([np.empty(0, base), *rows[field]]).astype(base, copy=False))
        return len(rows), arrays

    def _check_chunks(self, number: int, dataset: h5py.Dataset, chosen: tuple[Any, ...]) -> None:
        """Refuses stored chunks that are shorter than the type and the shape of a chunk ask for.

        HDF5 hands out whatever its memory holds in the place of what is missing. Chunks that are packed by another filter
        than those of the format itself (such as LZF) are left to it.
        """
        if dataset.chunks is None:
            return
        filters = dataset.id.get_create_plist()
        codes = [filters.get_filter(index)[0] for index in range(filters.get_nfilters())]
        if not set(codes) <= {DEFLATE, SHUFFLE, FLETCHER32}:
            return
        size = int(np.prod(dataset.chunks, dtype=object)) * dataset.id.get_type().get_size()
        for place in touched(dataset.shape, dataset.chunks, chosen):
            if (number, dataset.name, place) in self._whole:
                continue
            info = dataset.id.get_chunk_info_by_coord(place)
            if info.byte_offset is None:  # never written
                continue
            found = info.size
            if codes:
                mask, packed = dataset.id.read_direct_chunk(place)
                found = unpacked_size(packed, codes, mask, size)
            if found != size:
                raise ValueError(f"a chunk of {dataset.name!r} holds {'fewer' if found < size else 'more'} than its {size} bytes")
            self._whole.add((number, dataset.name, place))


def check_apart(dtype: np.dtype) -> None:
    """Refuses records whose fields overlap in memory: HDF5 writes beyond it when it converts them.

    It sees to fields that overlap in the file. h5py widens types that numpy lacks, in the same places.
    """
    if dtype.subdtype is not None:
        check_apart(dtype.subdtype[0])
    end = 0
    for field in sorted((dtype.fields or {}).values(), key=lambda field: field[1]):
        check_apart(field[0])
        if field[1] < end:
            raise ValueError("it has records whose fields overlap")
        end = field[1] + field[0].itemsize


def unpacked_size(packed: bytes, codes: Sequence[int], skipped: int, size: int) -> int:
    """The bytes of a chunk after its filters, counted up to a little more than `size`.

    Args:
        packed: as stored.
        codes: the filters in the order in which they were applied.
        skipped: bits of those that were not applied to this chunk.
        size: that is expected.
    """
    for index, code in reversed(list(enumerate(codes))):
        if skipped >> index & 1:
            continue
        if code == DEFLATE:
            inflate = zlib.decompressobj()
            packed = inflate.decompress(packed, size + 2 * CHECKSUM)
            if not inflate.eof and len(packed) <= size:
                raise ValueError("a compressed chunk is cut")
        elif code == FLETCHER32:
            packed = packed[:-CHECKSUM]
    return len(packed)


def touched(shape: Sequence[int], chunks: Sequence[int], chosen: tuple[Any, ...]) -> Iterator[tuple[int, ...]]:
    """The first element of every chunk that a selection touches."""
    axes: list[Sequence[int]] = []
    for axis, (length, chunk) in enumerate(zip(shape, chunks, strict=True)):
        part = chosen[axis] if axis < len(chosen) else slice(None)
        if isinstance(part, int):
            axes.append([part // chunk * chunk])
        elif isinstance(part, slice):
            start, stop, _ = part.indices(length)
            axes.append(range(start // chunk * chunk, stop, chunk))
        else:
            axes.append(sorted({int(index) // chunk * chunk for index in part}))
    return itertools.product(*axes)


def selection(key: list[Any] | None) -> tuple[Any, ...]:
    """A selection of numpy's from plain data: whole numbers, [start, stop] and {"at": [...]}; None for everything."""
    return tuple(slice(*part) if isinstance(part, list) else np.asarray(part["at"], np.int64) if isinstance(part, dict) else part
                 for part in key or ())
