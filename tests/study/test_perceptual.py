"""LPIPS and FID of a study."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from helpers.studies import NATURAL, opened, run

from medrestore.errors import InputError
from medrestore.study.perceptual import lpips_of


def test_without_weights_there_is_no_lpips_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    assert lpips_of(()) is None
    with pytest.raises(InputError, match=r"none\.pt"):
        lpips_of((str(tmp_path / "none.pt"),))


def test_fid_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all pictures of a setting, from the features that each task stores; the file is loaded before any work."""

    class Features:
        def features(self, pictures: torch.Tensor) -> np.ndarray:
            return pictures.flatten(1)[:, :4].numpy()

    asked = []
    (tmp_path / "weights.pth").write_bytes(b"1")
    for module in ("medrestore.study.run", "medrestore.study.pictures"):
        monkeypatch.setattr(f"{module}.inception_of", lambda file: asked.append(file) or (None if file is None else Features()))
    given = {**NATURAL, "inception": str(tmp_path / "weights.pth")}
    assert run(given, tmp_path / "out").failed == {}
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert asked[0] == str(tmp_path / "weights.pth") and "## FID; lower is better; fewer than 2048 pictures" in tables
    table = tables[tables.index("## FID"):]
    assert f"| colorization | pinv | {expected(tmp_path / 'out'):.2f} | 8 |" in table


def expected(out: Path) -> float:
    pairs = np.stack([np.load(path) for path in sorted(out.rglob("features.npy"))])
    a, b = pairs[:, 0].astype(float), pairs[:, 1].astype(float)
    covariances = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root))


def test_weights_that_are_no_inception_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"1")
    with pytest.raises(InputError, match=r"weights\.pth is no file of tensors alone"):
        opened({**NATURAL, "inception": str(tmp_path / "weights.pth")}, tmp_path / "out")
