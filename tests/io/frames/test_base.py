"""Decoding of pictures: exact, upright, and refused when damaged."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.pictures import picture, refused, save, white
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medrestore.errors import InputError
from medrestore.files import natural_key
from medrestore.io.frames.base import decode_picture
from medrestore.io.scenes.open import open_frames, open_scenes
from medrestore.io.scenes.writer import encode_png

SURGICAL = Path(__file__).parents[4] / "shared" / "data" / "surgical"


def test_pictures_are_exact_and_upright(tmp_path):
    save(tmp_path / "a.png", picture())
    assert np.array_equal(open_frames(tmp_path / "a.png")[0], picture())
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "turned.png", picture(), exif=exif)
    assert np.array_equal(open_frames(tmp_path / "turned.png")[0], np.rot90(picture(), -1))
    save(tmp_path / "grey.png", white())
    assert np.array_equal(open_frames(tmp_path / "grey.png")[0], np.repeat(white()[..., None], 3, -1))
    assert not open_frames(save(tmp_path / "a.jpg", picture())).lossless


def test_declared_pixels_are_capped(tmp_path):
    data = bytearray(encode_png(picture()))
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "big.png").write_bytes(data)
    refused("declares 60000 x 60000 pixels, over the limit", open_frames, tmp_path / "big.png")


def test_16_bits_are_refused_not_cut(tmp_path):
    """PIL takes the upper byte of 16-bit colours without a word, and known pixels would not be what they were."""
    header, rows = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0), (b"\0" + bytes([1, 200]) * 12) * 4
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    refused(r"a\.png has 16 bits a channel", open_frames, tmp_path / "a.png")


def test_natural_order():
    assert sorted(["f10", "f9", "f010b", "f1"], key=natural_key) == ["f1", "f9", "f010b", "f10"]
    assert sorted(["2", "f", "10", "1"], key=natural_key) == ["1", "2", "10", "f"]
    long = "9" * 5000  # over what an int is made of
    assert sorted(["2" + long, "²1", long, "7"], key=natural_key) == ["7", long, "2" + long, "²1"]


@pytest.mark.skipif(not SURGICAL.exists(), reason="needs the real frames beside the checkout")
def test_real_frames():
    with open_scenes(SURGICAL / "frames", mask=SURGICAL / "masks", means="hole") as scenes, scenes["frames"] as scene:
        assert scene.count == 4 and scene.size == (360, 640)
        survey = scene.survey().check()
        assert 0 < survey.hole_fraction < 0.5 and not survey.mostly_hole


@settings(max_examples=200, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["PNG", "JPEG"]))
def test_any_damage_is_one_sentence(data, kind):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels, _ = decode_picture(bytes(content[: data.draw(st.integers(0, len(content)))]), "x.png")
        assert pixels.dtype == np.uint8 and pixels.ndim == 3
    except InputError as error:
        assert "x.png" in str(error)
