"""Images by suffix, and what may be written as what."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrestore.errors import InputError
from medrestore.io.images import FileImages, check_written, encode_images, kind_of, open_images, spread_name, suffix_of


def test_kinds_are_known_by_their_suffix(tmp_path: Path) -> None:
    assert [kind_of(name) for name in ("a.PNG", "b.nii.gz", "c.tiff", "d.dcm", "e.npy")] == [
        "picture",
        "nifti",
        "tiff",
        "dicom",
        "npy",
    ]
    assert suffix_of("x.y.nii.gz") == ".nii.gz" and suffix_of("x.gif") == ""
    with pytest.raises(InputError, match="names no kind of image"):
        kind_of("a.gif")
    with pytest.raises(InputError, match="does not exist"):
        open_images(tmp_path / "a.png")
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(tmp_path / "a.png")
    assert open_images(tmp_path / "a.png").values.shape == (1, 1, 4, 5)


def images(kind, dtype=np.uint8, count: int = 1, channels: int = 1) -> FileImages:
    values = np.ones((count, channels, 4, 5), np.complex64 if np.dtype(dtype).kind == "c" else np.float32)
    return FileImages("in", kind, values, np.dtype(dtype))


def test_what_may_be_written_as_what(tmp_path: Path) -> None:
    for out, given, channels in (
        ("a.tif", images("picture"), 3),
        ("a.npy", images("nifti"), 1),
        ("a.nii", images("nifti"), 1),
        ("a.png", images("tiff", np.uint16), 1),
        ("a.tif", images("dicom", np.int16), 1),
    ):
        check_written(tmp_path / out, given, channels)
        encode_images(tmp_path / out, given.values, given)
    for out, given, channels, words in (
        ("a.png", images("nifti", np.float32), 1, r"can be written as \.nii, \.nii\.gz, \.npy"),
        ("a.png", images("tiff", count=2), 1, "is one picture"),
        ("a.png", images("tiff", np.uint16), 3, r"name the output \.tif"),
        ("a.png", images("tiff", np.float32), 1, "holds whole numbers"),
        ("a.tif", images("npy", np.complex64), 1, r"can be written as \.npy"),
    ):
        with pytest.raises(InputError, match=words):
            check_written(tmp_path / out, given, channels)


def test_the_name_of_the_spread() -> None:
    assert spread_name(Path("a.nii.gz"), images("nifti")) == "a.spread.nii.gz"
    assert spread_name(Path("a.png"), images("picture")) == "a.spread.npy"
