"""What parent and child say to each other: a length, JSON, then the bytes of arrays. Nothing is ever unpickled.

Types of arrays travel as plain data, so that also a child whose memory was overwritten can do no more than lie.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

LARGEST = 16 << 20  # bytes of the JSON of a message
DEEPEST = 16  # of types inside of types
LENGTH = struct.Struct("<Q")


class Broken(Exception):
    """The other side has gone, or what it says is no message."""


def send_message(stream: IO[bytes], message: dict[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
    """Writes a message; the arrays, C-contiguous and without objects, follow it."""
    sizes = [array.nbytes for array in arrays]
    text = json.dumps(message | {"sizes": sizes}).encode("ascii")
    _write_all(stream, LENGTH.pack(len(text)) + text)
    for array in arrays:
        if array.nbytes > 0:
            _write_all(stream, array.reshape(-1).view(np.uint8).data)


def _write_all(stream: IO[bytes], data: Any) -> None:
    view = memoryview(data)
    while len(view) > 0:
        view = view[stream.write(view) or 0 :]


def receive_message(stream: IO[bytes], *, most: int) -> tuple[dict[str, Any], list[np.ndarray]]:
    """A message and the bytes of its arrays.

    Args:
        stream: not buffered.
        most: bytes of all arrays together.

    Raises:
        Broken: the stream ends, or holds no message, or more than `most`.
    """
    (length,) = LENGTH.unpack(_read_bytes(stream, LENGTH.size).tobytes())
    if length > LARGEST:
        raise Broken("its message is too long")
    try:
        message = json.loads(_read_bytes(stream, length).tobytes())
        sizes = message.pop("sizes")
        if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) > most:
            raise Broken("it sends more than was asked for")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Broken("it sends no message") from error
    return message, [_read_bytes(stream, size) for size in sizes]


def _read_bytes(stream: IO[bytes], size: int) -> np.ndarray:
    """So many bytes of an unbuffered stream."""
    data = np.empty(size, np.uint8)
    view, done = data.data, 0
    while done < size:
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]  # of io.RawIOBase
        if not count:
            raise Broken("it has ended")
        done += count
    return data


def plain_dtype(dtype: np.dtype) -> Any:
    """A type as plain data, with what h5py keeps in its metadata."""
    about: Mapping[str, Any] = dtype.metadata or {}
    if "vlen" in about:
        return {"text": 0} if about["vlen"] in (str, bytes) else {"vlen": plain_dtype(np.dtype(about["vlen"]))}
    if dtype.subdtype is not None:
        return {"base": plain_dtype(dtype.subdtype[0]), "shape": list(dtype.subdtype[1])}
    if dtype.names is not None and dtype.fields is not None:
        fields = [[name, plain_dtype(dtype.fields[name][0]), dtype.fields[name][1]] for name in dtype.names]
        return {"fields": fields, "size": dtype.itemsize}
    if dtype.kind == "S":
        return {"text": dtype.itemsize}
    return dtype.str if dtype.kind in "biufc" else {"other": str(dtype)}


def type_of(description: Any, depth: int = 0) -> np.dtype:
    """The type that `plain_dtype` gave.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    if depth > DEEPEST:
        raise ValueError("types are nested too deep")
    if isinstance(description, str):
        return np.dtype(description)
    if "fields" in description:
        names, formats, offsets = zip(*description["fields"], strict=True)
        inner = [type_of(one, depth + 1) for one in formats]
        return np.dtype({"names": list(names), "formats": inner, "offsets": list(offsets), "itemsize": description["size"]})
    if "base" in description:
        return np.dtype((type_of(description["base"], depth + 1), tuple(description["shape"])))
    if "vlen" in description:
        return np.dtype("O", metadata={"vlen": type_of(description["vlen"], depth + 1)})
    if description.get("text"):
        return np.dtype(f"S{description['text']}")
    return np.dtype("O", metadata={"vlen": str}) if "text" in description else np.dtype("O")
