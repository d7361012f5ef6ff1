"""Questions about TIFF files, asked without a process between."""

import numpy as np
import pytest

tifffile = pytest.importorskip("tifffile")
from medrestore.child.tiff import Tiffs  # noqa: E402 - needs it


def ask(path, question):
    files = Tiffs()
    try:
        return files.answer({"file": 0, "path": str(path), "locking": True, "question": question, "arguments": {}})
    finally:
        files.close(0)


def test_what_a_file_says_of_itself(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 6, 5, 3), np.uint8), photometric="rgb")
    about, arrays = ask(tmp_path / "a.tif", "opened")
    assert about == {"axes": "QYXS", "shape": [4, 6, 5, 3], "kind": "RGB", "type": "uint8"} and arrays == []


def test_values_are_in_the_byte_order_of_this_machine(tmp_path):
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=">", photometric="minisblack")
    _, (pixels,) = ask(tmp_path / "a.tif", "pixels")
    assert pixels.dtype == np.uint16 and pixels.dtype.isnative and (pixels == values).all()
