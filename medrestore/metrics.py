"""Scores of a reconstruction against its reference, each under a named protocol.

No function here normalises, aligns or rescales its inputs, and none guesses a data range: PSNR and SSIM of
one and the same image differ by several dB and tenths between habits of doing so. All arithmetic is in
float64.
"""

from dataclasses import dataclass
from math import inf, isfinite, log10, sqrt

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import InputError

Array = Tensor | np.ndarray
SSIM_WINDOW = 7  # pixels along a side of the uniform window


@dataclass(frozen=True)
class Scores:
    """The scores of one volume under `protocol`.

    Attributes:
        psnr: peak signal to noise ratio of the whole volume in dB, infinite for a perfect prediction.
        ssim: structural similarity, mean over the slices.
        nmse: squared error of the whole volume over the squared norm of the reference.
        data_range: the peak value that `psnr` and `ssim` were taken against.
        slices: how many slices were scored.
        protocol: the name of the rules.
    """

    psnr: float
    ssim: float
    nmse: float
    data_range: float
    slices: int
    protocol: str = "fastmri"


def fastmri_scores(prediction: Array, reference: Array, *, data_range: float | None = None) -> Scores:
    """The scores of fastMRI's public evaluation (Zbontar et al., arXiv:1811.08839).

    Both volumes are cropped about their centre to (W, W), W being the width of `reference`. PSNR and NMSE run
    over the whole cropped volume; SSIM is the mean over slices (7 x 7 uniform window, K1 = 0.01, K2 = 0.03).

    fastMRI's own program stops at a reference that is wider than high. Here it keeps all of its rows: both
    are cropped to (min(H, W), W), which is the same rule wherever that program gives a number.

    Args:
        prediction: (slice, height, width) magnitudes in the units of `reference`; its frame may be larger.
        reference: (slice, height, width) magnitudes.
        data_range: peak value; the maximum of the cropped reference if not given. Give the volume's maximum
            when scoring only some slices of a volume.

    Raises:
        InputError: shapes do not fit, values are complex or not finite, or the reference is all zeros.
    """
    prediction, reference = fastmri_frames(prediction, reference)
    if data_range is None:
        data_range = float(reference.max())
    return Scores(
        psnr=psnr(prediction, reference, data_range=data_range),
        ssim=ssim(prediction, reference, data_range=data_range),
        nmse=nmse(prediction, reference),
        data_range=data_range,
        slices=len(reference),
    )


def fastmri_frames(prediction: Array, reference: Array) -> tuple[np.ndarray, np.ndarray]:
    """Both volumes in double precision, cropped about their centre to what the fastmri protocol scores.

    Raises:
        InputError: as `fastmri_scores`.
    """
    prediction, reference = _checked_volume(prediction, "prediction"), _checked_volume(reference, "reference")
    if len(prediction) != len(reference):
        raise InputError(
            f"The prediction has {len(prediction)} slices but the reference {len(reference)}; score the same slices."
        )
    size = (min(reference.shape[-2:]), reference.shape[-1])
    return _cropped_to_centre(prediction, size, "prediction"), _cropped_to_centre(reference, size, "reference")


def psnr(prediction: Array, reference: Array, *, data_range: float) -> float:
    """Peak signal to noise ratio in dB over all elements; infinite where the two are equal."""
    prediction, reference = _checked_pair(prediction, reference)
    _check_range(data_range)
    error = float(np.mean((prediction - reference) ** 2))
    # two logarithms, as the squares of raw MRI values can leave the range of a float
    return inf if error == 0 else 20 * log10(data_range) - 10 * log10(error)


def ssim(prediction: Array, reference: Array, *, data_range: float) -> float:
    """Structural similarity, mean over slices, of two (slice, height, width) volumes (Wang et al., TIP 2004).

    7 x 7 uniform window, sample covariance, K1 = 0.01, K2 = 0.03, without the 3 pixels at the borders.
    """
    from skimage.metrics import structural_similarity

    prediction, reference = _checked_pair(prediction, reference)
    _check_range(data_range)
    if reference.ndim != 3 or min(reference.shape[1:]) < SSIM_WINDOW or len(reference) == 0:
        raise InputError(
            f"SSIM needs (slice, height, width) with at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels "
            f"but was given {reference.shape}."
        )
    values = [
        structural_similarity(y, x, win_size=SSIM_WINDOW, data_range=data_range)
        for x, y in zip(prediction, reference, strict=True)
    ]
    return float(np.mean(values))


def ssim_map(prediction: Tensor, reference: Tensor, *, data_range: float | Tensor) -> Tensor:
    """Structural similarity of every window of `ssim`: the same numbers before their mean, differentiable, on
    any device.

    Args:
        prediction, reference: (batch, channel, height, width) real, of one shape.
        data_range: peak value, or one for each image as (batch, 1, 1, 1).

    Returns:
        (batch, channel, height - 6, width - 6), a value for every window that lies inside the image.

    Raises:
        InputError: shapes differ, values are complex, or the images are smaller than the window.
    """
    if prediction.shape != reference.shape or prediction.ndim != 4 or min(reference.shape[-2:]) < SSIM_WINDOW:
        raise InputError(f"SSIM needs two (batch, channel, height, width) of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels but "
                         f"was given {tuple(prediction.shape)} and {tuple(reference.shape)}.")
    if prediction.is_complex() or reference.is_complex():
        raise InputError("SSIM compares real images; take magnitudes first.")
    # the grouping of the terms decides the last digits of float32, and with them how a seeded training runs
    x, y = prediction, reference
    c1, c2, unbiased = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2, SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    mx, my, xx, yy, xy = (F.avg_pool2d(z, SSIM_WINDOW, 1) for z in (x, y, x * x, y * y, x * y))
    above = (2 * mx * my + c1) * (2 * unbiased * (xy - mx * my) + c2)
    below = (mx * mx + my * my + c1) * (unbiased * (xx - mx * mx + yy - my * my) + c2)
    return above / below


def nmse(prediction: Array, reference: Array) -> float:
    """Normalised mean squared error over all elements: |prediction - reference|^2 / |reference|^2."""
    return _relative_error(*_checked_pair(prediction, reference)) ** 2


def complex_nrmse(prediction: Array, reference: Array) -> float:
    """Relative error of complex images, |prediction - reference| / |reference|: phase and scale count,
    nothing is aligned.
    """
    return _relative_error(*_checked_pair(prediction, reference, dtype=np.complex128))


def phase_error(prediction: Array, reference: Array) -> float | None:
    """Mean absolute phase difference in degrees, every pixel weighted by |reference|^2; nothing is aligned.

    0 is right, 90 what random phases have, 180 the most. Pixels where the prediction is exactly 0 have no
    phase and are left out, `complex_nrmse` sees them; None when no weight is left.
    """
    prediction, reference = _checked_pair(prediction, reference, dtype=np.complex128)
    # angles of the two by themselves: their product may underflow at the scale of raw MRI values
    difference = np.abs(np.angle(prediction) - np.angle(reference))
    weight = np.where(prediction == 0, 0, np.abs(reference) ** 2)
    if weight.sum() == 0:
        return None
    return float(np.degrees(np.average(np.minimum(difference, 2 * np.pi - difference), weights=weight)))


def residual(measured: Array, y: Array) -> float:
    """|A x - y| / |y|, the relative misfit of a reconstruction's own measurement `measured` = A x to the data
    `y`.

    Real or complex, of any one shape. It is not better the smaller it is: with noisy data the truth itself
    has about sigma sqrt(m) / |y|, and what lies below has fitted noise.
    """
    return _relative_error(*_checked_pair(measured, y, dtype=np.complex128))


def _relative_error(prediction: np.ndarray, reference: np.ndarray) -> float:
    """|prediction - reference| / |reference| in the Euclidean norm."""
    energy = float(np.sum(np.abs(reference) ** 2))
    if energy == 0:
        raise InputError("The reference is zero everywhere, so no relative error can be given; leave it out.")
    return sqrt(float(np.sum(np.abs(prediction - reference) ** 2)) / energy)


def _checked_pair(prediction: Array, reference: Array, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Both as checked arrays of `dtype` and of one shape."""
    prediction, reference = _checked_array(prediction, "prediction", dtype), _checked_array(reference, "reference", dtype)
    if prediction.shape != reference.shape:
        raise InputError(
            f"The prediction has shape {prediction.shape} but the reference {reference.shape}; crop them to one shape."
        )
    return prediction, reference


def _checked_array(values: Array, name: str, dtype: type = np.float64) -> np.ndarray:
    """`values` in double precision, refused if complex where real is wanted, empty or not finite."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().resolve_conj().resolve_neg()
        values = (values.to(torch.float32) if values.dtype == torch.bfloat16 else values).numpy()
    if np.iscomplexobj(values) and not np.issubdtype(dtype, np.complexfloating):
        raise InputError(f"The {name} is complex; take its magnitude before scoring.")
    values = np.asarray(values, dtype=dtype)
    if values.size == 0 or not np.isfinite(values).all():
        raise InputError(f"The {name} is empty or has values that are not finite; it cannot be scored.")
    return values


def _checked_volume(values: Array, name: str) -> np.ndarray:
    """`values` as a checked (slice, height, width) array."""
    values = _checked_array(values, name)
    if values.ndim != 3:
        raise InputError(f"The {name} has shape {values.shape} but (slice, height, width) is needed.")
    return values


def flicker(prediction: Array, reference: Array, *, data_range: float) -> float:
    """How much the error of a volume changes from slice to slice: the rms of its differences over the data range.

    Anatomy changes from slice to slice too, so the changes of the reference are taken off. 0 where all slices have the same
    error; sqrt(2) times the rms error, over the data range, where those of neighbours are independent.

    Args:
        prediction, reference: (slice, height, width) magnitudes, two slices or more.

    Raises:
        InputError: other shapes, fewer than two slices, or a data range that is not positive.
    """
    _check_range(data_range)
    predicted, true = (_checked_volume(values, name) for values, name in ((prediction, "prediction"), (reference, "reference")))
    if predicted.shape != true.shape or len(true) < 2:
        raise InputError(f"The prediction has shape {predicted.shape} and the reference {true.shape}; two volumes of one shape "
                         "with two slices or more are needed.")
    return float(np.sqrt(np.square(np.diff(predicted - true, axis=0)).mean())) / data_range


def _cropped_to_centre(volume: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
    """The centre (height, width) of every slice; the odd pixel stays at the end."""
    height, width = volume.shape[-2:]
    if height < size[0] or width < size[1]:
        raise InputError(
            f"The {name} is {height} x {width} but the fastmri protocol scores the reference's centre {size[0]} x {size[1]}; "
            "no smaller frame can be scored."
        )
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    return volume[:, top : top + size[0], left : left + size[1]]


def _check_range(data_range: float) -> None:
    if not (isfinite(data_range) and data_range > 0):
        raise InputError(f"The data range is {data_range} but must be a positive number, such as the reference volume's maximum.")
