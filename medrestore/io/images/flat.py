"""PNG, JPEG, TIFF and NumPy files as images."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ...child import Limits, shared
from ...errors import InputError
from ..causes import cause
from ..frames.base import opaque
from ..frames.pictures import decode, read_bytes
from ..guards import DEFLATE_LIMIT, PathLike, check_size, existing, finite, open_npy, require
from ..reconstruction import RESEARCH_USE
from .base import FileImages, Kind, as_whole_numbers

TIFF_TYPES = ("uint8", "uint16", "int16", "float32", "float64")
TIFF_SPARE, TIFF_SECONDS, TIFF_PACE = 256 << 20, 3.0, 2e6  # bytes beside the values, seconds, and bytes a second beside them


def open_picture(path: PathLike) -> FileImages:
    """A png or jpg, 8 bits or 16 in grey.

    Raises:
        InputError: damage, another format, CMYK, transparency, or 16 bits in colour.
    """
    decoded = decode(read_bytes(path), str(path))
    require(decoded.kind != "CMYK", f"{path} has pixels of the kind CMYK; save it in grey or RGB.")
    pixels = opaque(decoded.pixels, str(path))
    notes = (
        ()
        if decoded.lossless
        else (f"{Path(path).name} is a jpg, whose values are not those of the scene; take png or tif.",)
    )
    return _images_of_values(path, "picture", _channels_first(pixels[None]), decoded.pixels.dtype, notes)


def open_tiff(path: PathLike, *, max_gb: float) -> FileImages:
    """A TIFF, grey or RGB, of one page or of several of one size.

    Raises:
        InputError: damage, another type of values, transparency, or more than `max_gb`.
    """
    path = existing(path)
    try:
        axes, shape, dtype, pixels = _tiff_values(path, max_gb)
    except OSError as error:
        if error.errno is not None:  # of this process
            raise InputError(cause(path, error)) from error
        why = " ".join(str(error).split())[:160]
        raise InputError(f"{path} is no TIFF that can be read ({why}); save it without compression, or as png.") from error
    samples = axes.find("S")
    if samples >= 0:
        pixels = np.moveaxis(pixels, samples, -1)
        require(
            pixels.shape[-1] in (3, 4), f"{path} has {pixels.shape[-1]} channels; save it in grey or RGB."
        )
        if pixels.shape[-1] == 4:
            full = np.iinfo(dtype).max if dtype.kind in "iu" else 1
            require(
                bool((pixels[..., 3] == full).all()),
                f"{path} is partly transparent, so its colours are not defined; save it without an alpha channel.",
            )
            pixels = pixels[..., :3]
        pixels = pixels.reshape(-1, *pixels.shape[-3:])
        return _images_of_values(path, "tiff", _channels_first(pixels), dtype)
    require(pixels.ndim >= 2, f"{path} holds no image (its shape is {shape}); save a grey or RGB picture.")
    return _images_of_values(path, "tiff", pixels.reshape(-1, 1, *pixels.shape[-2:]), dtype)


def _tiff_values(path: Path, max_gb: float) -> tuple[str, tuple[int, ...], np.dtype, np.ndarray]:
    """Axes, shape, type and values of the first series of a TIFF, which tifffile parses in the child of this process.

    Raises:
        OSError: what it says of a damaged file.
        InputError: another type of values, or more than `max_gb`.
    """
    number, size = shared().number(), path.stat().st_size
    look = Limits(TIFF_SPARE, TIFF_SECONDS + size / TIFF_PACE)
    try:
        about = shared().ask(number, str(path), "opened", look, kind="tiff").value
        axes, shape, name = str(about["axes"]), tuple(about["shape"]), about["type"]
        require(name in TIFF_TYPES, f"{path} holds {name}; save it with 8 or 16 bits, or as float32.")
        stored = check_size(str(path), shape, np.dtype(name).itemsize, max_gb=max_gb)
        require(stored <= size * DEFLATE_LIMIT, f"{path} declares more than it holds; copy it again.")
        require(about["kind"] in ("MINISBLACK", "RGB"),
                f"{path} has pixels of the kind {about['kind']}; save it in grey or RGB.")
        limits = Limits(TIFF_SPARE + 4 * stored + 2 * size, TIFF_SECONDS + (size + stored) / TIFF_PACE, answer=stored)
        answer = shared().ask(number, str(path), "pixels", limits, kind="tiff")
        return axes, shape, np.dtype(name), answer.array(0, name, shape)
    finally:
        shared().close(number)


def open_array(path: PathLike, *, max_gb: float) -> FileImages:
    """A .npy of (height, width), (height, width, 3), (slice, height, width) or (slice, height, width, 3).

    Raises:
        InputError: damage, objects, another shape, or more than `max_gb`.
    """
    array = open_npy(path, max_gb=max_gb)
    require(array.dtype.names is None, f"{path} holds {array.dtype}; save complex64.")
    if array.ndim not in (2, 3, 4) or (array.ndim == 4 and array.shape[-1] != 3):
        raise InputError(
            f"{path} has the shape {array.shape}; (height, width), (slice, height, width), or these with a last axis "
            "of 3 channels, are images."
        )
    colour = array.ndim > 2 and array.shape[-1] == 3
    values = (
        np.array(array).reshape(-1, *array.shape[-3:])
        if colour
        else np.array(array).reshape(-1, 1, *array.shape[-2:])
    )
    require(
        not (colour and array.dtype.kind == "c"),
        f"{path} is complex and has three channels; save one image at a time.",
    )
    return _images_of_values(path, "npy", _channels_first(values) if colour else values, array.dtype)


def encode_picture(values: np.ndarray, suffix: str, dtype: np.dtype) -> tuple[bytes, int]:
    """One image (channel, height, width) as png or jpg, and how many values lay outside its range."""
    from PIL import Image

    wanted = np.dtype(np.uint16 if dtype == np.uint16 and suffix == ".png" else np.uint8)
    if wanted == np.uint16 and values.shape[0] == 3:
        raise InputError("png has no 16 bits in colour here; name the output .tif")
    pixels, outside = as_whole_numbers(values, wanted)
    picture = Image.fromarray(
        pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
    )
    buffer = io.BytesIO()
    if suffix == ".png":
        picture.save(buffer, "PNG", compress_level=6)
    else:
        picture.save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue(), outside


def encode_tiff(values: np.ndarray, dtype: np.dtype) -> tuple[bytes, int]:
    """Images (slice, channel, height, width) as TIFF, and how many values lay outside its range."""
    import tifffile

    kept = dtype if dtype.name in TIFF_TYPES and dtype != np.float64 else np.dtype(np.float32)
    pixels, outside = as_whole_numbers(values, kept)
    pixels = pixels[:, 0] if pixels.shape[1] == 1 else np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        pixels,
        photometric="rgb" if pixels.ndim == 4 else "minisblack",
        metadata=None,
        description=f"medrestore. {RESEARCH_USE}",
    )
    return buffer.getvalue(), outside


def encode_array(values: np.ndarray) -> bytes:
    """Images (slice, channel, height, width) as .npy, float32 or complex64, axes of length 1 left out."""
    kept = values[:, 0] if values.shape[1] == 1 else values.transpose(0, 2, 3, 1)
    return npy_bytes(np.ascontiguousarray(kept[0] if len(kept) == 1 else kept))


def npy_bytes(values: np.ndarray) -> bytes:
    """An array as the bytes of its .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _channels_first(pixels: np.ndarray) -> np.ndarray:
    """(slice, height, width, channel) as (slice, channel, height, width)."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _images_of_values(
    path: PathLike, kind: Kind, values: np.ndarray, dtype: np.dtype, notes: tuple[str, ...] = ()
) -> FileImages:
    is_int = dtype.kind in "iub"
    bounds = np.iinfo(dtype) if dtype.kind in "iu" else None
    return FileImages(
        str(path),
        kind,
        finite(values.astype(np.complex64 if dtype.kind == "c" else np.float32), path, "the image"),
        np.dtype(dtype),
        step=1.0 if is_int else None,
        limits=None if bounds is None else (float(bounds.min), float(bounds.max)),
        notes=notes,
    )
