"""PNG and JPEG pictures for training: size from the header, orientation, channels, and what is refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrestore.errors import InputError
from medrestore.io.frames.base import decode_picture
from medrestore.io.frames.pictures import decode, has_16_bits, picture_size, read_bytes, read_picture, read_values
from medrestore.io.scenes.open import open_frames

ORIENTATION = 0x0112

RNG = np.random.default_rng(0)


def save(path, pixels, orientation=1):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_from_the_header_is_that_of_the_pixels(tmp_path, orientation):
    path = save(tmp_path / "a.png", np.zeros((5, 9, 3), np.uint8), orientation)
    assert picture_size(path) == read_picture(path).shape[:2] == ((5, 9) if orientation < 5 else (9, 5))


def test_16_bits_keep_every_level_or_are_refused(tmp_path):
    values = np.array([[0, 255, 256, 3000, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert has_16_bits(tmp_path / "a.png")
    np.testing.assert_array_equal(read_values(tmp_path / "a.png"), values.astype(np.float32))
    with pytest.raises(InputError, match=r"16 bits a channel, of which 8 would be lost; .* state the interval of its values"):
        read_picture(tmp_path / "a.png", channels=1)
    assert picture_size(tmp_path / "a.png") == (1, 5)


def test_values_are_grey_ones(tmp_path):
    pixels = RNG.integers(0, 256, (4, 6), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert not has_16_bits(tmp_path / "a.png") and np.array_equal(read_values(tmp_path / "a.png"), pixels)
    Image.fromarray(np.stack([pixels] * 3, -1)).save(tmp_path / "b.png")
    with pytest.raises(InputError, match="is in colour"):
        read_values(tmp_path / "b.png")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_16_bits_are_turned_upright_too(tmp_path, orientation):
    path = save(tmp_path / "a.png", np.arange(45, dtype=np.uint16).reshape(5, 9) * 1000, orientation)
    assert read_values(path).shape == picture_size(path)


def test_other_formats_damage_and_size_are_refused(tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    whole = save(tmp_path / "a.png", np.zeros((50, 60, 3), np.uint8) + np.arange(60, dtype=np.uint8)[:, None])
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-60])
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.gif")
    for name, match in (("text.png", "no complete PNG or JPEG"), ("cut.png", "damaged"), ("a.gif", "no complete PNG or JPEG")):
        with pytest.raises(InputError, match=match):
            read_picture(tmp_path / name)
    with pytest.raises(InputError, match="declares 60 x 50 pixels, over the limit of 100"):
        read_picture(whole, max_pixels=100)


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


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_pictures_of_every_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).convert(mode).save(path)
    assert read_picture(path).shape[-1] == 3


def png(width: int, height: int) -> bytes:
    """A PNG whose header declares any size, with no pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("data", "message"), [
    (png(100_000, 100_000), "declares over|over the limit"),
    (png(12_000, 12_000), "over the limit"),
    (png(50, 50), "damaged"),
    (b"no picture at all", "no complete PNG or JPEG"),
    (b"GIF89a\1\0\1\0\0\0\0;", "no complete PNG or JPEG"),
])  # fmt: skip
def test_hostile_pictures_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("read", [read_picture, lambda path: decode_picture(path.read_bytes(), str(path))])
def test_one_flipped_bit_of_a_png_is_seen(tmp_path, read):
    """PIL looks at the checksum of few chunks."""
    path = tmp_path / "a.png"
    Image.fromarray((np.indices((64, 64)).sum(0) % 256).astype(np.uint8)).save(path)
    good = path.read_bytes()
    read(path)
    for at in range(8, len(good) - 12, 5):
        changed = bytearray(good)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(InputError, match=r"a\.png"):
            read(path)
    for cut in (good[:-12], good[:-1], good[:60]):
        path.write_bytes(cut)
        with pytest.raises(InputError, match=r"a\.png"):
            read(path)
    path.write_bytes(good + b"what programs append")
    read(path)


def test_what_lies_beside_the_pixels_is_named(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300), icc_profile=b"profile")
    assert decode(read_bytes(tmp_path / "a.jpg"), "a").beside == ("EXIF", "a colour profile", "a resolution")
    save(tmp_path / "b.png", np.zeros((4, 4), np.uint8), orientation=6)
    assert decode(read_bytes(tmp_path / "b.png"), "b").beside == ()
    with open_frames(tmp_path / "a.jpg") as frames:
        assert frames.notes == (f"{tmp_path / 'a.jpg'} comes with EXIF, a colour profile, a resolution, not carried over.",)
