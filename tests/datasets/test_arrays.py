"""Images of .npz archives."""

from pathlib import Path

import numpy as np
import pytest

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.datasets import images
from medrestore.errors import InputError


def test_bytes_complex_and_magnitudes_of_an_npz(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "a.npz"
    wave = (rng.standard_normal((3, 8, 9)) + 1j * rng.standard_normal((3, 8, 9))).astype(np.complex64) * 50
    np.savez(path, rgb=rng.integers(0, 256, (3, 8, 9, 3), dtype=np.uint8), wave=wave, real=np.abs(wave),
             who=np.array(["a", "b", "a"]))  # fmt: skip
    rgb, whole, real, ct = (images({"kind": "npz", "path": str(path), "group": "who", **more}) for more in (
        {"key": "rgb"}, {"key": "wave"}, {"key": "real"}, {"key": "real", "interval": [-100, 300]}))  # fmt: skip
    assert rgb.recipe == Interval() and rgb[0].shape == (3, 8, 9) and rgb[0].min() >= -1 and rgb.group_of(2) == "npz: a"
    assert whole.channels == 2 and whole[1].square().sum(0).sqrt().quantile(0.99) == pytest.approx(1, abs=1e-4)
    assert real.channels == 1 and real.recipe == CalibratedComplex() and real[1].quantile(0.99) == pytest.approx(1, abs=1e-4)
    assert ct.recipe == Interval(-100, 300) and ct[0][0, 2, 3] == pytest.approx((abs(wave[0, 2, 3]) + 100) / 200 - 1, abs=1e-5)
    with pytest.raises(InputError, match="name one, as key="):
        images({"kind": "npz", "path": str(path)})


def test_masks_are_no_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "mask.npz", np.ones((2, 8, 8), bool))
    with pytest.raises(InputError, match="a mask and no images"):
        images({"kind": "npz", "path": str(tmp_path / "mask.npz")})
