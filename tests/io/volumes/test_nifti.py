"""Pictures, DICOM, NIfTI and npz: read as they are meant, refused in one sentence where they are hostile or broken."""

import hashlib
import struct
import zipfile
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medrestore.errors import InputError
from medrestore.io.frames.pictures import picture_size, read_picture
from medrestore.io.npz import npz_names, read_npz
from medrestore.io.volumes.dicom import read_dicom, read_dicom_header
from medrestore.io.volumes.nifti import open_volume

RNG = np.random.default_rng(0)


def test_a_png_comes_back_as_it_is(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_picture(tmp_path / "a.png"), pixels)
    assert read_picture(tmp_path / "a.png", channels=1).shape == (7, 9, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((4, 6), np.uint8)
    upright[0, :3] = 200  # no turn or flip of it is the same
    undo = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
            6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1)}  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(undo[orientation](upright))).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_picture(tmp_path / "a.png", channels=1)[..., 0], upright)
    assert picture_size(tmp_path / "a.png") == (4, 6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
def test_pictures_of_every_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Image.fromarray(np.array([[0, 0xFFFF], [0x8000, 0]], np.uint16)).save(path)
        assert read_picture(path)[..., 0].tolist() == [[0, 255], [128, 0]]
    else:
        Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).convert(mode).save(path)
    assert read_picture(path).shape[-1] == 3


def png(width: int, height: int) -> bytes:
    """A PNG whose header declares any size, with no pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("data", "message"), [
    (png(100_000, 100_000), "cannot be opened|over the limit"),
    (png(12_000, 12_000), "over the limit"),
    (png(50, 50), "damaged"),
    (b"no picture at all", "no PNG or JPEG"),
    (b"GIF89a\1\0\1\0\0\0\0;", "no PNG or JPEG"),
])  # fmt: skip
def test_hostile_pictures_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_picture(tmp_path / "a.png")


def dicom(path: Path, pixels: np.ndarray, **elements: object) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, generate_uid()
    meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientName, data.PatientID = "Doe^Jane", "MRN-4711"
    data.Rows, data.Columns = pixels.shape[:2]
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation = 15, int(pixels.dtype.kind == "i")
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    data.save_as(path)
    return path


def test_dicom_is_rescaled_and_nothing_of_the_patient_is_kept(tmp_path: Path) -> None:
    pixels = RNG.integers(-500, 500, (6, 8), dtype=np.int16)
    path = dicom(tmp_path / "a.dcm", pixels, RescaleSlope="2", RescaleIntercept="-1024")
    assert np.array_equal(read_dicom(path), pixels.astype(np.float32) * 2 - 1024)
    header = read_dicom_header(path)
    assert header.shape == (6, 8) and header.patient == hashlib.sha256(b"MRN-4711").hexdigest()[:16]
    assert "Doe" not in repr(header) and "4711" not in repr(header)
    low_is_bright = dicom(tmp_path / "b.dcm", pixels, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(read_dicom(low_is_bright), pixels.max() + pixels.min() - pixels.astype(np.float32))


@pytest.mark.parametrize(("elements", "message"), [
    ({"Rows": 60_000, "Columns": 60_000}, "over the limit"),
    ({"NumberOfFrames": "3"}, "3 frames"),
    ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "no grey image"),
    ({"PixelData": b"\0\0"}, "cannot be read"),
])  # fmt: skip
def test_hostile_dicom_is_refused(tmp_path: Path, elements: dict[str, object], message: str) -> None:
    path = dicom(tmp_path / "a.dcm", np.zeros((6, 8), np.uint16), **elements)
    with pytest.raises(InputError, match=message):
        read_dicom(path)


def test_what_is_no_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"not dicom" * 40)
    with pytest.raises(InputError, match="no DICOM file"):
        read_dicom_header(tmp_path / "a.dcm")


def nifti(path: Path, shape: tuple[int, ...] = (8, 9, 10), dtype: type = np.int16) -> Path:
    nibabel.save(nibabel.Nifti1Image(RNG.integers(0, 99, shape).astype(dtype), np.eye(4)), path)
    return path


def test_the_slope_of_a_nifti_is_applied_and_one_slice_read(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, 3)
    nibabel.save(image, tmp_path / "a.nii")
    stored = np.asarray(nibabel.load(tmp_path / "a.nii").dataobj, np.float32)
    assert np.array_equal(open_volume(tmp_path / "a.nii").slice("axial", 1), stored[:, ::-1, 1].T)


@pytest.mark.parametrize(("make", "message"), [
    (lambda p: nifti(p, (8, 9, 10, 5)), "three axes"),
    (lambda p: nifti(p, dtype=np.complex64), "not real numbers"),
    (lambda p: p.write_bytes(b"\1" * 400), "damaged"),
    (lambda p: p.write_bytes(nifti(p).read_bytes()[:600]), "damaged"),
    (lambda p: p.write_bytes(_with_shape(nifti(p).read_bytes(), (30_000, 30_000, 30_000))), "over the limit"),
])  # fmt: skip
def test_hostile_nifti_is_refused(tmp_path: Path, make, message: str) -> None:
    path = tmp_path / "a.nii"
    make(path)
    with pytest.raises(InputError, match=message):
        open_volume(path).read()


def _with_shape(data: bytes, shape: tuple[int, int, int]) -> bytes:
    return data[:40] + struct.pack("<4h", 3, *shape) + data[48:]


def test_a_cut_gzip_and_another_suffix_are_refused(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", (40, 40, 40))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match="truncated"):
        open_volume(path).read()
    nifti(tmp_path / "b.nii").rename(tmp_path / "b.img")
    with pytest.raises(InputError, match="convert it to NIfTI"):
        open_volume(tmp_path / "b.img")


def test_npz_arrays_are_checked_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, big=np.zeros((1000, 1000)), text=np.array(["a"]), thing=np.array([{}], dtype=object))
    assert sorted(npz_names(path)) == ["big", "text", "thing"] and read_npz(path, "text", text=True).tolist() == ["a"]
    wrong = {"big": "over the limit", "text": "not numbers", "thing": "not numbers", "none": "holds no array"}
    for name, message in wrong.items():
        with pytest.raises(InputError, match=message):
            read_npz(path, name, max_gb=0.001)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\1\0\x10\0{'descr': '<f8',")
    with pytest.raises(InputError, match="damaged"):
        read_npz(path, "a")
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"no \.npz"):
        npz_names(path)
