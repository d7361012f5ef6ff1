"""Numeric arrays of MATLAB files of level 5 (versions 5 to 7), read in plain Python.

`scipy.io.loadmat` is compiled code that a damaged file can crash, so the few elements that a numeric array has are parsed
here, each length checked. Structs, cells, objects and sparse arrays are skipped. Format: "MAT-File Format", The MathWorks.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import InputError
from ..guards import check_size, require

MATRIX, COMPRESSED = 14, 15
NUMERIC_CLASSES = range(6, 16)  # double, single and the integers
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
COMPLEX_FLAG = 0x0800
HEAD = 4096  # bytes that hold flags, dimensions and name


@dataclass(frozen=True)
class Variable:
    """Position, name, shape and type of an array, from its header."""

    name: str
    shape: tuple[int, ...]
    is_complex: bool
    is_numeric: bool
    start: int  # of the element's content in the file
    length: int
    compressed: bool


def list_variables(path: Path) -> list[Variable]:
    """The named variables of the file, from their headers."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        order = _byte_order(stream, path)
        variables, position = [], 128
        while position + 8 <= size:
            stream.seek(position)
            kind, length = struct.unpack(f"{order}II", stream.read(8))
            require(0 < length <= size - position - 8, f"{path} is cut or damaged; save it again, best with -v7.3.")
            if kind in (MATRIX, COMPRESSED):
                variables.append(_variable(stream, order, path, position + 8, length, kind == COMPRESSED))
            position += 8 + length
    return [variable for variable in variables if variable.name]


def load_variable(path: Path, variable: Variable, *, max_gb: float) -> np.ndarray:
    """The array, complex64 if it is complex, in MATLAB's order of axes; more than `max_gb` is refused before reading."""
    items = math.prod(variable.shape)
    size = check_size(f"{path}: {variable.name!r}", variable.shape, 16 if variable.is_complex else 8, max_gb=max_gb)
    with path.open("rb") as stream:
        order = _byte_order(stream, path)
        content = _content(stream, path, variable.start, variable.length, variable.compressed, size + HEAD)
    parts = []
    for kind, data in list(_elements(content, order))[3 : 5 if variable.is_complex else 4]:
        complete = kind in NUMBERS and len(data) == items * np.dtype(NUMBERS[kind]).itemsize
        require(complete, f"{path}: {variable.name!r} is cut or damaged; save it again, best with -v7.3.")
        parts.append(np.frombuffer(data, order + NUMBERS[kind]).reshape(variable.shape, order="F"))
    require(len(parts) == 1 + variable.is_complex, f"{path}: {variable.name!r} is cut or damaged; save it again.")
    if not variable.is_complex:
        return parts[0]
    array = np.empty(variable.shape, np.complex64)
    with np.errstate(over="ignore"):  # infinity is found when a slice is read
        array.real, array.imag = parts
    return array


def _byte_order(stream: BinaryIO, path: Path) -> str:
    mark = stream.read(128)[126:128]
    require(mark in (b"IM", b"MI"), f"{path} has a damaged MATLAB header; save it again, best with -v7.3.")
    return "<" if mark == b"IM" else ">"


def _content(stream: BinaryIO, path: Path, start: int, length: int, compressed: bool, limit: int) -> bytes:
    """The first `limit` bytes inside an array element, decompressed; a zip bomb never grows beyond `limit`."""
    stream.seek(start)
    if not compressed:
        return stream.read(min(length, limit))
    try:
        return zlib.decompressobj().decompress(stream.read(length), limit + 8)[8:]
    except zlib.error as error:
        raise InputError(f"{path} holds a damaged compressed array; save it again, best with -v7.3.") from error


def _elements(content: bytes, order: str) -> Iterator[tuple[int, memoryview]]:
    """(type, data) of the elements in an array; one of up to 4 bytes is packed into its own tag. A cut one ends it."""
    view, position = memoryview(content), 0
    while position + 8 <= len(view):
        kind, length = struct.unpack_from(f"{order}II", view, position)
        if kind >> 16:
            kind, length, start, step = kind & 0xFFFF, kind >> 16, position + 4, 8
        else:
            start, step = position + 8, 8 + -(-length // 8) * 8
        if start + length > len(view):
            return
        yield kind, view[start : start + length]
        position += step


def _variable(stream: BinaryIO, order: str, path: Path, start: int, length: int, compressed: bool) -> Variable:
    head = _content(stream, path, start, length, compressed, HEAD)
    parts = [data for _, data in itertools.islice(_elements(head, order), 3)]
    complete = len(parts) == 3 and len(parts[0]) == 8 and len(parts[1]) % 4 == 0 and 8 <= len(parts[1]) <= 128
    if not complete:  # an opaque object has another layout, and no name here
        return Variable("", (), False, False, start, length, compressed)
    (flags,) = struct.unpack_from(f"{order}I", parts[0])
    shape = struct.unpack(f"{order}{len(parts[1]) // 4}i", parts[1])
    require(min(shape) >= 0, f"{path} holds an array of the shape {shape}; it is damaged, save it again.")
    name = bytes(parts[2]).decode("latin-1")
    return Variable(name, shape, bool(flags & COMPLEX_FLAG), (flags & 0xFF) in NUMERIC_CLASSES, start, length, compressed)
