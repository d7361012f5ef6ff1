"""Questions about DICOM images, answered in the child: pydicom and the decoders that it finds parse them there."""

from __future__ import annotations

import io
import math
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset, read_file_meta_info
from pydicom.tag import BaseTag, Tag

from .opened import OpenFiles, Reply

DEFLATED = "1.2.840.10008.1.2.1.99"  # the transfer syntax whose data set is one zlib stream
LONGEST_HEADER = 16 << 20  # bytes of a deflated data set without its pixels; real ones have some kilobytes
LONGEST_TEXT = 1024  # characters of a value
PREAMBLE, META = 132, 2  # bytes before the meta information of a file, and the group of its elements
PIXELS = (0x7FE0, 0x0010)  # the tag of the pixels, which are last
GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")  # of enhanced images


class Dicoms(OpenFiles[str]):
    """Images by their paths."""

    def __init__(self) -> None:
        super().__init__()
        warnings.simplefilter("ignore")  # of values that break the standard, common and harmless

    def _open(self, path: str, *, locking: bool) -> str:
        return path

    def _questions(self) -> Mapping[str, Callable[..., Reply]]:
        return {"fields": self._fields, "pixels": self._pixels}

    def _fields(self, number: int, names: Sequence[str], rescale: Sequence[str]) -> Reply:
        """Fields of the header as plain values; of those of `rescale` all values, the functional groups' last."""
        dataset = _read_dataset(self._files[number], pixels=False)
        places = [dataset]
        for groups in GROUPS:
            for group in list(dataset.get(groups) or [])[:1]:
                places += list(group.get("PixelValueTransformationSequence") or [])[:1]
        return {"fields": {name: plain_element(dataset.get(name)) for name in names},
                "rescale": {name: [plain_element(place.get(name)) for place in places] for name in rescale}}, []

    def _pixels(self, number: int) -> Reply:
        """The shape and type of the stored pixels of an image of one grey frame, and the pixels."""
        dataset = _read_dataset(self._files[number], pixels=True)
        dataset.SamplesPerPixel, dataset.NumberOfFrames = 1, 1  # as whoever asks has read them, also where they are empty
        pixels = np.asarray(dataset.pixel_array)
        pixels = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))
        return {"shape": pixels.shape, "type": pixels.dtype.name}, [pixels]


def _read_dataset(path: str, *, pixels: bool) -> Dataset:
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == DEFLATED:
        return _deflated(path, meta, pixels=pixels)
    return pydicom.dcmread(path, stop_before_pixels=not pixels)


def _deflated(path: str, meta: FileMetaDataset, *, pixels: bool) -> Dataset:
    """The data set of a deflated file: no more of it is unpacked than its header, and the pixels that this declares."""

    def at_pixels(tag: BaseTag, *_: Any) -> bool:
        return tag >= Tag(PIXELS)

    def past_meta(tag: BaseTag, *_: Any) -> bool:
        return tag.group != META

    with open(path, "rb") as file:
        file.seek(PREAMBLE)
        read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=past_meta)
        packed = file.read()
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    head = stream.decompress(packed, LONGEST_HEADER)
    dataset = read_dataset(io.BytesIO(head), is_implicit_VR=False, is_little_endian=True, stop_when=at_pixels)
    if pixels:
        declared = math.prod(int(dataset.get(name) or 0) for name in ("Rows", "Columns", "BitsAllocated")) // 8
        whole = head + stream.decompress(stream.unconsumed_tail, declared + 1)
        if stream.unconsumed_tail and len(whole) > LONGEST_HEADER + declared:
            raise ValueError(f"it unpacks to more than the {declared} bytes of pixels that it declares")
        dataset = read_dataset(io.BytesIO(whole), is_implicit_VR=False, is_little_endian=True)
    dataset.file_meta = meta
    return dataset


def plain_element(value: Any) -> Any:
    """A value as JSON has it: whole numbers, text (decimal strings as they stand there) and lists of them; else None."""
    if isinstance(value, bool | int) and not isinstance(value, str):
        return int(value)
    if isinstance(value, list | pydicom.multival.MultiValue) and not isinstance(value, pydicom.Sequence):
        return [plain_element(one) for one in value]
    if value is None or isinstance(value, bytes | pydicom.Sequence):
        return None
    return str(value)[:LONGEST_TEXT]
