"""Fills without a prior."""

import sys

import pytest
import torch

from medrestore.errors import InputError
from medrestore.study.fills import FILLS, check_fill


@pytest.fixture
def ramp() -> tuple[torch.Tensor, torch.Tensor]:
    """A frame that brightens from left to right, and a hole in its middle."""
    frame = torch.linspace(20, 200, 32).round().to(torch.uint8).expand(3, 32, 32).clone()
    known = torch.ones(32, 32, dtype=torch.bool)
    known[12:20, 12:20] = False
    return frame, known


@pytest.mark.parametrize("name", ["smooth", "biharmonic"])
def test_smooth_fills_continue_a_ramp(name: str, ramp: tuple[torch.Tensor, torch.Tensor]) -> None:
    frame, known = ramp
    damaged = torch.where(known, frame, 255)
    filled = FILLS[name](damaged, known)
    assert filled.shape == frame.shape and filled.dtype == torch.uint8
    error = (filled.float() - frame.float()).abs()[:, ~known]
    assert error.mean() < (2 if name == "biharmonic" else 12)


def test_the_mean_is_that_of_the_known_pixels(ramp: tuple[torch.Tensor, torch.Tensor]) -> None:
    frame, known = ramp
    filled = FILLS["mean"](torch.where(known, frame, 255), known)
    assert int(filled[0, 15, 15]) == round(float(frame[0][known].float().mean()))
    assert torch.equal(FILLS["none"](frame, known), frame)


def test_a_fill_without_its_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"telea or navier-stokes needs cv2, .*; run: pip install 'medrestore\[opencv\]'"):
        check_fill("telea")
    check_fill("biharmonic")
