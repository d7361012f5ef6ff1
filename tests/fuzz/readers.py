"""Every reader of files from outside: how its samples are made, how a file is read, and what it hands out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from medrestore import priors
from medrestore.datasets.splits import split
from medrestore.evaluation.tables import read_rows
from medrestore.io import npz_names, open_volume, read_dicom, read_kspace, read_npz, read_provenance, read_reconstruction
from medrestore.io.frames.base import decode_picture
from medrestore.io.frames.mha import MhaFrames
from medrestore.io.frames.pictures import read_picture
from medrestore.io.frames.video import VideoFrames
from medrestore.io.images.flat import open_tiff
from medrestore.priors.convert import checkpoint

from . import samples

GB = 0.05  # that a reader may be asked for, where it takes a limit


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        name: for tables.
        samples: makes whole files in a folder.
        read: yields all that it hands out of a file: arrays, which must be finite, and anything else.
        tested: how many damaged files the tests try: few of a parser that could take their process along, or that is slow.
    """

    name: str
    samples: Callable[[Path], list[Path]]
    read: Callable[[Path], Iterator[Any]]
    tested: int = 300


def kspace(**options: Any) -> Callable[[Path], Iterator[Any]]:
    def read(path: Path) -> Iterator[Any]:
        with read_kspace(path, max_gb=GB, implausible=True, **options) as file:
            yield file.reference_max
            for scan in file:
                yield from (scan.kspace, scan.mask, scan.noise, scan.reference, scan.pixel_mm, scan.affine)

    return read


def archive(path: Path) -> Iterator[Any]:
    for name in npz_names(path):
        yield read_npz(path, name, text=True, max_gb=GB)


def volume(path: Path) -> Iterator[Any]:
    opened = open_volume(path, max_gb=GB)
    yield opened.affine
    yield opened.read()
    yield opened.slice("axial", 0)


def picture(path: Path) -> Iterator[Any]:
    yield decode_picture(path.read_bytes(), str(path))[0]
    yield read_picture(path)


def tiff(path: Path) -> Iterator[Any]:
    yield open_tiff(path, max_gb=GB).values


def frames(path: Path) -> Iterator[Any]:
    with MhaFrames(path, max_gb=GB) if path.suffix == ".mha" else VideoFrames(path) as opened:
        yield from opened


def splits(path: Path) -> Iterator[Any]:
    for name in ("train", "val", "test"):
        yield split("fastmri", f"{path}:{name}")


def weights(path: Path) -> Iterator[Any]:
    for view in checkpoint.read_views(path)[:2]:
        yield from checkpoint.floats(view.state, path).values()


def prior(path: Path) -> Iterator[Any]:
    folder = next(parent for parent in path.parents if parent.name == "prior")
    net = priors.load(folder)
    yield from net.net.state_dict().values()
    yield net.sigma_range


def reconstruction(path: Path) -> Iterator[Any]:
    yield read_provenance(path)
    with read_reconstruction(path, max_gb=GB) as file:
        yield from (file.mask, file.provenance)
        for index in range(len(file)):
            yield from (file[index], file.complex_image(index), file.samples(index), file.std(index))


READERS = {reader.name: reader for reader in (
    Reader("fastMRI", samples.fastmri, kspace(), tested=80),
    Reader("other HDF5, mat v7.3", samples.hdf5, kspace(dataset="raw/kspace", axes=("slice", "coil", "row", "col")),
           tested=80),
    Reader("ISMRMRD", samples.ismrmrd, kspace(), tested=80),
    Reader("twix", samples.twix, kspace()),
    Reader("BART cfl", samples.bart, kspace()),
    Reader("mat v5", samples.mat, kspace(axes=("slice", "coil", "row", "col"))),
    Reader("npy", samples.arrays, kspace()),
    Reader("npz", samples.archives, archive),
    Reader("NIfTI", samples.nifti, volume),
    Reader("DICOM", samples.dicom, lambda path: iter([read_dicom(path, max_gb=GB)])),
    Reader("PNG, JPEG", samples.pictures, picture),
    Reader("mha", samples.mha, frames),
    Reader("video", samples.video, frames, tested=20),
    Reader("split YAML", samples.split, splits),
    Reader("CSV, Parquet", samples.tables, lambda path: iter(read_rows(path))),
    Reader("checkpoints", samples.checkpoints, weights),
    Reader("prior folders", samples.prior, prior),
    Reader("reconstructions", samples.reconstruction, reconstruction, tested=80),
    Reader("TIFF", samples.tiff, tiff),
)}


def is_finite(value: Any) -> bool:
    """Whether an array has no NaN and no infinity; anything else has none."""
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray | float | tuple):
        array = np.asarray(value)
        return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
    return True
