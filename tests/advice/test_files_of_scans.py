"""Advice on files of scans and of images, followed: axes named otherwise, another file, the data in the file itself."""

from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
import torch
from helpers.advice import case, followed
from helpers.arrays import complex_normal
from helpers.dicoms import dicom
from helpers.mrd import COILS, COLUMNS, SAMPLES, write
from helpers.operators import full
from helpers.phantom import head_and_maps
from pydicom.uid import JPEG2000Lossless

from medrestore.io import open_volume, read_kspace
from medrestore.io.dicom import read_dicom
from medrestore.io.guards import checked_dataset, open_hdf5
from medrestore.io.images.open import open_images
from medrestore.io.kspace.trajectory import read_trajectory
from medrestore.io.kspace.twix import _image_blocks
from medrestore.mri import radial
from medrestore.operators import NonCartesianSense

DATA = complex_normal(0, 2, 3, 12, 10)
SPOKES = radial(20, (24, 24)).numpy()
LINES = complex_normal(0, COILS, SAMPLES, COLUMNS)
PIXELS = np.random.default_rng(0).integers(0, 500, (6, 8), dtype=np.int16)
VOLUME = np.random.default_rng(0).random((6, 7, 5)).astype(np.float32)


def hdf5(folder: Path, fill: Any, name: str = "kspace") -> np.ndarray:
    """The array of this name in a file that is filled so."""
    with h5py.File(folder / "a.h5", "w") as file:
        fill(file)
    with open_hdf5(folder / "a.h5") as file:
        return checked_dataset(file, name)[()]


def itself(folder: Path) -> bool:
    return np.array_equal(hdf5(folder, lambda file: file.create_dataset("kspace", data=DATA)), DATA)


def external(folder: Path) -> np.ndarray:
    (folder / "other").write_bytes(DATA.tobytes())
    place = [(str(folder / "other"), 0, DATA.nbytes)]
    return hdf5(folder, lambda file: file.create_dataset("kspace", DATA.shape, DATA.dtype, external=place))


def array(folder: Path, data: np.ndarray, axes: tuple[str, ...]) -> np.ndarray:
    np.save(folder / "k.npy", data)
    with read_kspace(folder / "k.npy", axes=axes) as file:
        return file[0].kspace[0].numpy()


def first(made: np.ndarray) -> bool:
    return np.array_equal(made, DATA[0])


def spokes(folder: Path, trajectory: np.ndarray) -> bool:
    """Whether samples along spokes are read with a trajectory."""
    image, maps, _ = head_and_maps((24, 24), 3, 0)
    points = torch.from_numpy(SPOKES)
    np.save(
        folder / "k.npy", NonCartesianSense(maps, points, full(points))(image.to(torch.complex64))[0].numpy()
    )
    np.save(folder / "t.npy", trajectory)
    with read_kspace(folder / "k.npy", trajectory=folder / "t.npy") as file:
        return np.allclose(file[0].trajectory.numpy(), SPOKES)


def bart(folder: Path, values: np.ndarray) -> bool:
    (folder / "t.hdr").write_text("# Dimensions\n" + " ".join(map(str, values.shape)) + "\n")
    values.astype(np.complex64).ravel(order="F").tofile(folder / "t.cfl")
    return np.allclose(read_trajectory(folder / "t.cfl", max_gb=1).values, SPOKES)


THREE = np.concatenate([SPOKES, 0 * SPOKES[..., :1]], -1).transpose(2, 1, 0)


def mrd(folder: Path, *flags: int, **how: Any) -> bool:
    """Whether ISMRMRD lines with these flags make an image."""
    path = write(folder / "a.h5", lambda writer: writer.image(LINES, flags=flags, **how))
    with read_kspace(path) as file:
        return file.shape == (1, COILS, 8, COLUMNS)


def other_fields(folder: Path) -> None:
    """A file whose records have fields of other types."""
    path = write(folder / "a.h5", lambda writer: writer.image(LINES))
    with h5py.File(path, "r+") as file:
        del file["dataset/data"]
        kind = np.dtype([("head", [("version", "u2")]), ("data", "f4", 4)])
        file["dataset/data"] = np.zeros(3, kind)
    read_kspace(path)


def mrd_spokes(folder: Path, trajectory: np.ndarray) -> bool:
    from tests.io.kspace import test_ismrmrd_points as cases

    path = cases.write(folder / "p.h5", cases.SPOKES)
    np.save(folder / "t.npy", trajectory)
    with read_kspace(path, trajectory=folder / "t.npy") as file:
        return np.allclose(file[0].trajectory.numpy(), trajectory)


def mrd_trajectory() -> np.ndarray:
    from tests.io.kspace import test_ismrmrd_points as cases

    return cases.SPOKES.numpy()


def image(path: Path, **elements: Any) -> bool:
    """Whether a DICOM image is read as it is."""
    return np.array_equal(read_dicom(dicom(path, PIXELS, **elements)), PIXELS)


def compressed(path: Path) -> None:
    data = pydicom.dcmread(dicom(path, PIXELS))
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless
    data.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + bytes(40)])
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    read_dicom(path)


def nifti(folder: Path, affine: np.ndarray) -> bool:
    """Whether a volume with this affine is read upright."""
    header = nibabel.Nifti1Image(VOLUME, np.eye(4))
    header.header.set_sform(affine, code=1)
    header.header.set_qform(None, code=0)
    nibabel.save(header, folder / "a.nii")
    raw = bytearray((folder / "a.nii").read_bytes())
    raw[280:328] = affine[:3].astype("<f4").tobytes()
    (folder / "a.nii").write_bytes(raw)
    return np.allclose(open_volume(folder / "a.nii").read(), VOLUME)


def tiff(path: Path, **how: Any) -> bool:
    tifffile.imwrite(path, PIXELS.astype(np.uint16), **how)
    return np.array_equal(open_images(path).values[0, 0], PIXELS)


def broken_tiff(path: Path) -> None:
    """A TIFF that says that it is compressed in a way nobody knows."""
    tifffile.imwrite(path, PIXELS.astype(np.uint16))
    with tifffile.TiffFile(path) as file:
        at = file.pages[0].tags["Compression"].valueoffset
    data = bytearray(path.read_bytes())
    data[at : at + 2] = (65_000).to_bytes(2, "little")
    path.write_bytes(data)
    open_images(path)


class Protocol:
    """Of a twix file: the kind of its trajectory."""

    def __init__(self, trajectory: int) -> None:
        self.trajectory = trajectory

    def number(self, name: str) -> float | None:
        return self.trajectory if name == "sKSpace.ucTrajectory" else None


def singular(column: int) -> np.ndarray:
    affine = np.eye(4)
    affine[:, column] = 0
    affine[3, 3] = 1
    return affine


CASES = [
    case(
        "{}: {} is a link, which could point to any file of this computer; copy the data itself into "
        "the file.",
        lambda folder: hdf5(folder, link),
        lambda folder: itself(folder),
    ),
    case(
        "{} keeps its data in other files, which is refused; copy the data itself into the file.",
        lambda folder: external(folder),
        lambda folder: itself(folder),
    ),
    case(
        "{} holds {}, not numbers; name a numeric array.",
        lambda folder: hdf5(folder, lambda file: file.create_dataset("kspace", data=[b"text"])),
        lambda folder: np.array_equal(
            hdf5(
                folder,
                lambda file: (
                    file.create_dataset("text", data=[b"text"]),
                    file.create_dataset("k", data=DATA),
                ),
                "k",
            ),
            DATA,
        ),
    ),
    case(
        "{} is a group, not an array; name one of {}.",
        lambda folder: hdf5(folder, lambda file: file.create_dataset("scan/k", data=DATA), "scan"),
        lambda folder: np.array_equal(
            hdf5(folder, lambda file: file.create_dataset("scan/k", data=DATA), "scan/k"), DATA
        ),
    ),
    case(
        "{} is empty, its shape is {}; give a file that holds data.",
        lambda folder: hdf5(folder, lambda file: file.create_dataset("kspace", data=DATA[:0])),
        lambda folder: itself(folder),
    ),
    case(
        "{}: the axes {} name one twice; name each axis once.",
        lambda folder: array(folder, DATA, ("slice", "coil", "row", "row")),
        lambda folder: first(array(folder, DATA, ("slice", "coil", "row", "col"))),
    ),
    case(
        "{}: the array has the shape {}, but {} axes are named ({}); name each.",
        lambda folder: array(folder, DATA, ("coil", "row", "col")),
        lambda folder: first(array(folder, DATA, ("slice", "coil", "row", "col"))),
    ),
    case(
        "{}: its axis complex has {} entries, not a real and an imaginary part; name another axis so.",
        lambda folder: array(
            folder, np.stack([DATA.real, DATA.imag], 1), ("slice", "row", "complex", "col", "coil")
        ),
        lambda folder: first(
            array(folder, np.stack([DATA.real, DATA.imag], 1), ("slice", "complex", "coil", "row", "col"))
        ),
    ),
    case(
        "{} is complex already; leave complex and channel out of its axes.",
        lambda folder: array(folder, DATA[:, :2], ("slice", "complex", "row", "col")),
        lambda folder: first(array(folder, DATA, ("slice", "coil", "row", "col"))),
    ),
    case(
        "{}: {} does not have the fields of ISMRMRD; convert it to version 1.",
        lambda folder: other_fields(folder),
        lambda folder: mrd(folder / "again"),
    ),
    case(
        "{} holds no lines of an image; give the file of an imaging scan.",
        lambda folder: mrd(folder, 19),
        lambda folder: mrd(folder / "again"),
    ),
    case(
        "{} has {} readouts of {} samples in slice {}, and the trajectory {} of {}; give that of this scan.",
        lambda folder: mrd_spokes(folder, mrd_trajectory()[:5]),
        lambda folder: mrd_spokes(folder / "again", mrd_trajectory()),
    ),
    case(
        "{} has {} readouts of {} samples, and {} {} x {}; give the trajectory of this scan.",
        lambda folder: spokes(folder, SPOKES[:5]),
        lambda folder: spokes(folder, SPOKES),
    ),
    case(
        "{} holds {} {}, and a trajectory is (readout, sample, 2) real, or complex (readout, "
        "sample); save it so.",
        lambda folder: spokes(folder, SPOKES[..., 0]),
        lambda folder: spokes(folder, SPOKES) and spokes(folder, SPOKES[..., 0] + 1j * SPOKES[..., 1]),
    ),
    case(
        "{} has the dimensions {}, and a trajectory has (3, sample, readout); give that of one slice.",
        lambda folder: bart(folder, np.stack([THREE] * 2, -1)[:, :, :, None]),
        lambda folder: bart(folder, THREE),
    ),
    case(
        "{} is {}; twix files do not say where such samples lie: convert it to ISMRMRD with its trajectory.",
        lambda folder: _image_blocks([], Protocol(2), {}, folder / "a.dat", volume=False),  # type: ignore[arg-type]
        lambda folder: mrd_spokes(folder, mrd_trajectory()),
    ),
    case(
        "{} is no grey image of one frame ({}); convert it or leave it out.",
        lambda folder: image(folder / "a.dcm", NumberOfFrames="3"),
        lambda folder: image(folder / "a.dcm", NumberOfFrames="1"),
    ),
    case(
        "{} says nothing usable of its {}, so it is no image; leave it out.",
        lambda folder: series(folder, Rows=0),
        lambda folder: ((folder / "b.dcm").unlink(), series(folder))[1] == 1,
    ),
    case(
        "{} holds pixels that cannot be read ({}); convert it to uncompressed DICOM.",
        lambda folder: compressed(folder / "a.dcm"),
        lambda folder: image(folder / "a.dcm"),
    ),
    case(
        "{} has no usable orientation (its affine is singular); write its header again.",
        lambda folder: nifti(folder, singular(1)),
        lambda folder: nifti(folder, np.eye(4)),
    ),
    case(
        "{} has an affine that names no orientation; write its header again.",
        lambda folder: nifti(
            folder, np.array([[1e12, 1e12, 0, 0], [0, 1e-4, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        ),
        lambda folder: nifti(folder, np.eye(4)),
    ),
    case(
        "{} is no TIFF that can be read ({}); save it without compression, or as png.",
        lambda folder: broken_tiff(folder / "a.tif"),
        lambda folder: tiff(folder / "a.tif"),
    ),
]


def link(file: h5py.File) -> None:
    file["data"] = DATA
    file["kspace"] = h5py.SoftLink("/data")


def series(folder: Path, **elements: Any) -> int:
    """How many images of a folder are read to train on."""
    from medrestore.datasets import images

    dicom(folder / "a.dcm", PIXELS)
    if elements:
        dicom(folder / "b.dcm", PIXELS, **elements)
    return len(images({"kind": "dicom", "files": str(folder)}))


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_scans_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    followed(sentence, wrong, right, tmp_path)
