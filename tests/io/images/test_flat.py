"""Pictures, TIFF and arrays: every value there and back, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from medrestore.errors import InputError
from medrestore.io.images import flat
from medrestore.io.images.flat import (
    encode_array,
    encode_picture,
    encode_tiff,
    open_array,
    open_picture,
    open_tiff,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "dtype"), [((6, 5), np.uint8), ((6, 5, 3), np.uint8), ((6, 5), np.uint16)])
def test_png_there_and_back(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    pixels = RNG.integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images = open_picture(tmp_path / "a.png")
    assert (
        images.values.shape == (1, 3 if len(shape) == 3 else 1, 6, 5)
        and images.dtype == dtype
        and images.step == 1
    )
    data, outside = encode_picture(images.values[0], ".png", images.dtype)
    (tmp_path / "b.png").write_bytes(data)
    assert outside == 0 and (np.asarray(Image.open(tmp_path / "b.png")) == pixels).all()


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((6, 5), np.uint16),
        ((6, 5, 3), np.uint16),
        ((6, 5), np.float32),
        ((4, 6, 5), np.uint8),
        ((4, 6, 5, 3), np.uint8),
        ((6, 5), np.int16),
    ],
)
def test_tiff_there_and_back(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    pixels = (1000 * RNG.random(shape)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb" if shape[-1] == 3 else "minisblack")
    images = open_tiff(tmp_path / "a.tif", max_gb=1.0)
    data, outside = encode_tiff(images.values, images.dtype)
    (tmp_path / "b.tif").write_bytes(data)
    made = tifffile.imread(tmp_path / "b.tif")
    assert outside == 0 and made.dtype == dtype and (made == pixels).all()
    assert encode_tiff(images.values, images.dtype)[0] == data


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (4, 6, 5), (4, 6, 5, 3)])
def test_arrays_there_and_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = RNG.random(shape).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "b.npy").write_bytes(encode_array(open_array(tmp_path / "a.npy", max_gb=1.0).values))
    assert (np.load(tmp_path / "b.npy") == array).all()


def test_a_jpg_is_told_to_be_lossy(tmp_path: Path) -> None:
    Image.fromarray(RNG.integers(0, 255, (16, 16, 3)).astype(np.uint8)).save(tmp_path / "a.jpg")
    assert "is a jpg" in open_picture(tmp_path / "a.jpg").notes[0]
    data, _ = encode_picture(np.full((3, 16, 16), 90.0), ".jpg", np.dtype(np.uint8))
    assert data[:2] == b"\xff\xd8"


def test_what_is_refused(tmp_path: Path) -> None:
    alpha = RNG.integers(0, 255, (8, 8, 4)).astype(np.uint8)
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    Image.frombytes("CMYK", (8, 8), alpha.tobytes()).save(tmp_path / "cmyk.jpg")
    tifffile.imwrite(tmp_path / "alpha.tif", alpha, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(tmp_path / "complex.tif", np.ones((4, 4), np.complex64))
    tifffile.imwrite(tmp_path / "nan.tif", np.full((4, 4), np.nan, np.float32))
    (tmp_path / "cut.tif").write_bytes((tmp_path / "nan.tif").read_bytes()[:20])
    np.save(tmp_path / "five.npy", np.ones((2, 2, 2, 2, 3)))
    np.save(tmp_path / "inf.npy", np.array([[np.inf]]))
    np.save(tmp_path / "big.npy", np.ones((1000, 1000)))
    for name, words in (
        ("alpha.png", "partly transparent"),
        ("cmyk.jpg", "CMYK"),
        ("alpha.tif", "partly transparent"),
        ("complex.tif", "complex64"),
        ("nan.tif", "NaN"),
        ("cut.tif", "no TIFF that can be read"),
        ("five.npy", "has the shape"),
        ("inf.npy", "infinite"),
        ("big.npy", "over the limit"),
    ):
        path = tmp_path / name
        with pytest.raises(InputError, match=words):
            if name.endswith(".npy"):
                open_array(path, max_gb=0.001)
            elif name.endswith(".tif"):
                open_tiff(path, max_gb=1.0)
            else:
                open_picture(path)
    with pytest.raises(InputError, match="no 16 bits in colour"):
        encode_picture(np.ones((3, 4, 4)), ".png", np.dtype(np.uint16))


def test_a_tiff_of_directories_within_each_other_comes_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """14,000 directories of 4000 entries each, in 104 kB: tifffile goes through all of them."""
    entries, directories = 4000, 14000
    words = np.full(2 * directories + 6 * entries + 5, entries, "<u2")
    words[:4] = (0x4949, 42, 8, 0)
    after = 4 + 1 + 6 * entries  # the pointer behind the entries of the first
    chain = (8 + 4 * np.arange(1, directories + 1)).astype("<u4")
    words[after : after + 2 * directories] = chain.view("<u2")
    (tmp_path / "a.tif").write_bytes(words.tobytes())
    monkeypatch.setattr(flat, "TIFF_SECONDS", 1.0)
    with pytest.raises(InputError, match=r"a\.tif cannot be read within 1 s, so it is damaged"):
        open_tiff(tmp_path / "a.tif", max_gb=1.0)


def test_a_tiff_in_the_other_byte_order(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 60000, (6, 5)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, byteorder=">", photometric="minisblack")
    images = open_tiff(tmp_path / "a.tif", max_gb=1.0)
    assert images.dtype == np.uint16 and (images.values[0, 0] == pixels).all()
