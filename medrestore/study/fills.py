"""Fills of holes without a prior: what any method has to beat."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..extras import extra
from ..inpainting.frame import smooth_fill

# frame (3, h, w) uint8, known (h, w) bool -> frame; known pixels are the caller's
Fill = Callable[[Tensor, Tensor], Tensor]


def untouched(frame: Tensor, known: Tensor) -> Tensor:
    """The frame as it was taken."""
    return frame


def mean(frame: Tensor, known: Tensor) -> Tensor:
    """The mean colour of the known pixels."""
    return frame[:, known].float().mean(1).round().to(torch.uint8)[:, None, None].expand_as(frame)


def biharmonic(frame: Tensor, known: Tensor) -> Tensor:
    """Smooth continuation by the biharmonic equation (Damelin & Hoang 2018), scikit-image's."""
    from skimage.restoration import inpaint_biharmonic

    filled = inpaint_biharmonic(frame.permute(1, 2, 0).double().numpy() / 255, ~known.numpy(),
                                channel_axis=-1)
    return torch.from_numpy(np.rint(255 * filled.clip(0, 1)).astype(np.uint8)).permute(2, 0, 1)


def telea(frame: Tensor, known: Tensor) -> Tensor:
    """Fast marching inwards (Telea, Journal of Graphics Tools 2004), OpenCV's, radius 3."""
    return _opencv(frame, known, "INPAINT_TELEA")


def navier_stokes(frame: Tensor, known: Tensor) -> Tensor:
    """Isophotes carried inwards (Bertalmio, Bertozzi & Sapiro, CVPR 2001), OpenCV's, radius 3."""
    return _opencv(frame, known, "INPAINT_NS")


def _opencv(frame: Tensor, known: Tensor, flag: str) -> Tensor:
    cv2 = _cv2()
    pixels = np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
    filled = cv2.inpaint(pixels, (~known).numpy().astype(np.uint8), 3, getattr(cv2, flag))
    return torch.from_numpy(filled).permute(2, 0, 1)


def _cv2():
    with extra("opencv", "a fill by telea or navier-stokes"):
        import cv2
    return cv2


FILLS: dict[str, Fill] = {"none": untouched, "mean": mean, "smooth": smooth_fill, "biharmonic": biharmonic,
                          "telea": telea,
                          "navier-stokes": navier_stokes}


def check_fill(name: str) -> None:
    """Refuses a fill whose library is not installed.

    Raises:
        InputError: says how to install it.
    """
    if FILLS[name] in (telea, navier_stokes):
        _cv2()
