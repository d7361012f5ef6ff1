"""NIfTI volumes: read as they are meant, refused in one sentence where they are hostile or broken."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.io import (
    write_nifti,
)
from medrestore.io.volumes.nifti import open_volume

RNG = np.random.default_rng(0)


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
    (lambda p: p.write_bytes(nifti(p).read_bytes()[:600]), "not complete"),
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


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_nifti_without_orientation(tmp_path, name, dtype):
    image = torch.randn(3, 6, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
    write_nifti(tmp_path / name, image, pixel_mm=(0.5, 0.75, 4.0))
    found = nibabel.load(tmp_path / name)
    assert np.array_equal(np.asarray(found.dataobj), image.permute(1, 2, 0).numpy())
    assert np.asarray(found.dataobj).dtype == image.numpy().dtype
    assert found.header.get_zooms() == (0.5, 0.75, 4.0) and found.header.get_xyzt_units()[0] == "mm"
    assert int(found.header["qform_code"]) == 0 and int(found.header["sform_code"]) == 0
    assert (
        b"Research use only" in bytes(found.header["descrip"].item()) and b"Not for diagnosis" in found.header["descrip"].item()
    )
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_nifti_with_orientation(tmp_path):
    affine = np.array([[0, -0.75, 0, 3], [-0.5, 0, 0, 4], [0, 0, 4, 5], [0, 0, 0, 1.0]])
    write_nifti(tmp_path / "a.nii.gz", np.ones((3, 6, 5), np.float32), pixel_mm=(0.5, 0.75, 4.0), affine=affine)
    found = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(found.affine, affine, atol=1e-6)
    np.testing.assert_allclose(found.get_qform(), affine, atol=1e-5)
    assert int(found.header["sform_code"]) == 1


def test_frames_of_a_series_are_the_fourth_axis(tmp_path):
    series = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)  # (frame, slice, h, w)
    write_nifti(tmp_path / "s.nii.gz", series, pixel_mm=(1.0, 2.0, 3.0), affine=np.diag([1.0, 2, 3, 1]))
    image = nibabel.load(tmp_path / "s.nii.gz")
    assert image.shape == (4, 5, 3, 2) and image.header.get_zooms() == (1.0, 2.0, 3.0, 1.0)
    assert np.asarray(image.dataobj)[1, 2, 0, 1] == series[1, 0, 1, 2]


def test_nifti_refuses(tmp_path):
    image = np.ones((3, 6, 5), np.float32)
    with pytest.raises(InputError, match="does not end in"):
        write_nifti(tmp_path / "a.img", image, pixel_mm=None)
    with pytest.raises(InputError, match="is needed"):
        write_nifti(tmp_path / "a.nii", image[0], pixel_mm=None)
    write_nifti(tmp_path / "a.nii", image, pixel_mm=None)
    with pytest.raises(InputError, match="exists already"):
        write_nifti(tmp_path / "a.nii", image, pixel_mm=None)
    assert nibabel.load(tmp_path / "a.nii").header.get_xyzt_units()[0] == "unknown"


def test_one_flipped_bit_of_a_compressed_volume_is_seen(tmp_path: Path) -> None:
    """gzip stores a CRC, which is checked whether all is read or one slice; a byte that changes nothing is no matter."""
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(RNG.standard_normal((8, 9, 10)).astype(np.float32), np.eye(4)), path)
    good, whole = path.read_bytes(), open_volume(path).read()
    for at in [*range(10, len(good), 97), *range(len(good) - 8, len(good))]:
        changed = bytearray(good)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        for read in (lambda: open_volume(path).read(), lambda: open_volume(path).slice("axial", 0)):
            with pytest.raises(InputError, match=r"a\.nii\.gz"):
                read()
    path.write_bytes(good)
    assert np.array_equal(open_volume(path).read(), whole)


def test_a_compressed_volume_with_more_than_it_declares_is_not_unpacked(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii")
    with gzip.open(tmp_path / "b.nii.gz", "wb", compresslevel=1) as file:
        file.write(path.read_bytes())
        for _ in range(40):
            file.write(bytes(1 << 20))
    with pytest.raises(InputError, match="holds more than its header declares"):
        open_volume(tmp_path / "b.nii.gz").read()


def test_a_header_that_declares_more_than_the_file_can_hold(tmp_path: Path) -> None:
    data = _with_shape(nifti(tmp_path / "a.nii").read_bytes(), (900, 900, 900))
    (tmp_path / "a.nii").write_bytes(data)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data))
    for name in ("a.nii", "b.nii.gz"):
        with pytest.raises(InputError, match="declares 1458000000 bytes and holds"):
            open_volume(tmp_path / name)


@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
def test_extensions_that_are_no_extensions_are_not_read(tmp_path: Path, version: type, order: str) -> None:
    """nibabel reads all that stands before the values: gigabytes, of a compressed file of 2 MB."""
    header = version.header_class(endianness=order)
    data = bytearray(version(np.ones((3, 4, 5), np.float32), np.eye(4), header).to_bytes())
    with gzip.open(tmp_path / "a.nii.gz", "wb") as file:
        file.write(data)
    assert open_volume(tmp_path / "a.nii.gz").read().sum() == 60
    place, kind = (108, "f") if version is nibabel.Nifti1Image else (168, "q")
    for declared in (2_000_000_000, -1):
        struct.pack_into(f"{order}{kind}", data, place, declared)
        with gzip.open(tmp_path / "a.nii.gz", "wb") as file:
            file.write(data)
        with pytest.raises(InputError, match=rf"damaged or truncated \({declared} bytes stand before its values\)"):
            open_volume(tmp_path / "a.nii.gz")
