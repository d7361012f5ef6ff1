"""Questions about pictures, asked without a process between."""

import io

import numpy as np
import pytest
from PIL import Image

from medrestore.child.picture import Pictures

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4)


def ask(picture, question, kind="PNG", largest=100, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    return Pictures().answer({"file": 0, "path": "", "locking": True, "question": question,
                              "arguments": {"data": data, "largest": largest}})


def test_pixels_and_what_they_are():
    about, (pixels,) = ask(Image.fromarray(GREY), "decoded")
    assert about == {"lossless": True, "kind": "L", "beside": [], "shape": (3, 4), "type": "uint8"}
    assert (pixels == GREY).all()


def test_size_and_pixels_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert ask(Image.fromarray(GREY), "size", exif=exif) == ({"size": (4, 3)}, [])
    about, (pixels,) = ask(Image.fromarray(GREY), "decoded", exif=exif)
    assert about["shape"] == (4, 3) and (pixels == np.rot90(GREY, -1)).all()


@pytest.mark.parametrize("question", ["size", "decoded"])
def test_a_picture_that_is_too_large_is_not_decoded(question):
    assert ask(Image.fromarray(GREY), question, largest=11) == ({"large": (4, 3)}, [])


def test_another_format_is_none():
    with pytest.raises(OSError, match="cannot identify"):
        ask(Image.fromarray(GREY), "decoded", kind="GIF")
