"""Protocols with names: what is scored, in which frame, against which range, and what is printed of it.

A score without its protocol cannot be compared: see docs/metrics.md. None of them normalises or aligns anything.

- `fastmri`: one row a volume; PSNR, SSIM and NMSE of magnitudes as fastMRI's public evaluation has them.
- `fastmri-slice`: one row a slice, same frame, same peak (the volume's). The mean of its SSIM is that of `fastmri`; the mean of
  its PSNR is not.
- `complex`: one row a slice; relative error and phase error of complex images, which magnitudes hide.
- `natural`: one row a frame of RGB in [0, 1], range 1; LPIPS and FID only with weights and features that the caller gives.
- `dreaming-corrected`, `dreaming-official`: scenes; see `score_scene`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..metrics import complex_nrmse, fastmri_frames, fastmri_scores, nmse, phase_error, psnr, ssim
from .perceptual import frechet_distance

ProtocolName = Literal["fastmri", "fastmri-slice", "complex", "natural"]
Distance = Callable[[Tensor, Tensor], Tensor]  # two (1, 3, h, w) pictures in [-1, 1] -> (1,)
Array = Tensor | np.ndarray
Row = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """One column of a table.

    Attributes:
        name: the key in a row.
        unit: as printed, empty for plain numbers.
        higher_is_better: which end is the good one.
        digits: decimals worth printing.
        title: as printed.
    """

    name: str
    unit: str
    higher_is_better: bool
    digits: int
    title: str

    @property
    def heading(self) -> str:
        """Title and unit, as in "PSNR (dB)"."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


_PSNR, _SSIM = Metric("psnr", "dB", True, 2, "PSNR"), Metric("ssim", "", True, 4, "SSIM")
_LPIPS, _FID = Metric("lpips", "", False, 4, "LPIPS"), Metric("fid", "", False, 2, "FID")
_MAGNITUDE = (_PSNR, _SSIM, Metric("nmse", "", False, 4, "NMSE"))
_SCENES = (
    Metric("accuracy", "", False, 4, "accuracy term"), Metric("consistency", "", False, 4, "consistency term"), _PSNR, _SSIM,
    Metric("mae", "grey levels", False, 2, "MAE"), Metric("hole_psnr", "dB", True, 2, "PSNR in the hole"),
    Metric("hole_ssim", "", True, 4, "SSIM in the hole"), Metric("hole_mae", "grey levels", False, 2, "MAE in the hole"),
    _LPIPS, _FID,
)

METRICS: dict[str, tuple[Metric, ...]] = {  # the first of each is the one to tune by
    "fastmri": _MAGNITUDE,
    "fastmri-slice": _MAGNITUDE,
    "complex": (Metric("nrmse", "", False, 4, "NRMSE"), Metric("phase_error", "degrees", False, 2, "phase error")),
    "natural": (_PSNR, _SSIM, _LPIPS, _FID, Metric("consistency", "", False, 4, "|Ax − y| / |y|")),
    "dreaming-corrected": _SCENES,
    "dreaming-official": _SCENES,
}
BY_NAME: dict[str, Metric] = {one.name: one for metrics in reversed(METRICS.values()) for one in metrics}  # the first that has it


def metric(name: str, protocol: str | None = None) -> Metric:
    """The metric of that name, in `protocol` or in the first that has it.

    Raises:
        InputError: there is no such protocol, or no such metric in it.
    """
    if protocol is not None and protocol not in METRICS:
        raise InputError(f"there is no protocol {protocol!r}; there are {', '.join(METRICS)}.")
    known = BY_NAME if protocol is None else {one.name: one for one in METRICS[protocol]}
    if name not in known:
        raise InputError(f"there is no metric {name!r}{f' in {protocol}' if protocol else ''}; there are {', '.join(known)}.")
    return known[name]


def score(
    protocol: ProtocolName, prediction: Array, reference: Array, *, data_range: float | None = None,
    lpips: Distance | None = None, features: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[Row]:
    """One row of scores for the volume (`fastmri`) or for each of its slices or frames, metrics by the names of `METRICS`.

    Args:
        prediction, reference: (slice, height, width), real or complex (of complex ones `fastmri` takes the magnitude,
            `complex` takes no other); (frame, 3, height, width) in [0, 1] for `natural`.
        data_range: peak of PSNR and SSIM; the maximum of the reference's frame where not given, and always 1 for `natural`.
            Give the volume's maximum when scoring only some of its slices. `complex` needs none.
        lpips: for `natural`, such as `load_lpips` gives; not computed (None) without.
        features: for `natural`, Inception features (picture, 2048) of prediction and reference; FID, in a row of its own with
            slice None, is not computed (None) without.

    Returns:
        Rows with `slice` (None for the whole), `protocol`, `data_range` and the metrics. PSNR is infinite for a perfect
        slice; relative scores are None where the reference is zero.

    Raises:
        InputError: an unknown protocol, shapes or values that do not fit it, or an option that it has no use for.
    """
    if protocol not in get_args(ProtocolName):
        scenes = "; scenes are scored by score_scene" if protocol in METRICS else ""
        raise InputError(f"there is no protocol {protocol!r} for images; there are {', '.join(get_args(ProtocolName))}{scenes}.")
    if protocol != "natural" and (lpips is not None or features is not None):
        raise InputError(f"{protocol} has no LPIPS and no FID; they belong to natural.")
    if protocol == "natural":
        rows = _natural(prediction, reference, data_range, lpips, features)
    elif protocol == "complex":
        rows = _complex(prediction, reference)
    else:
        rows = _magnitude(_magnitudes(prediction), _magnitudes(reference), data_range, volume_scores=protocol == "fastmri")
    return [{"slice": row.pop("slice"), "protocol": protocol, **row} for row in rows]


def _magnitudes(volume: Array) -> Array:
    """Real values as they are, complex ones without their phase."""
    if isinstance(volume, Tensor):
        return volume.abs() if volume.is_complex() else volume
    return np.abs(volume) if np.iscomplexobj(volume) else volume


def _magnitude(prediction: Array, reference: Array, data_range: float | None, *, volume_scores: bool) -> list[Row]:
    """The rows of `fastmri` and of `fastmri-slice`."""
    if volume_scores:
        scores = fastmri_scores(prediction, reference, data_range=data_range)
        return [{"slice": None, "psnr": scores.psnr, "ssim": scores.ssim, "nmse": scores.nmse, "data_range": scores.data_range}]
    prediction, reference = fastmri_frames(prediction, reference)
    peak = float(reference.max()) if data_range is None else data_range
    return [
        {
            "slice": index, "psnr": psnr(x, y, data_range=peak), "ssim": ssim(x[None], y[None], data_range=peak),
            "nmse": nmse(x, y) if y.any() else None, "data_range": peak,
        }
        for index, (x, y) in enumerate(zip(prediction, reference, strict=True))
    ]


def _complex(prediction: Array, reference: Array) -> list[Row]:
    for name, volume in (("prediction", prediction), ("reference", reference)):
        if not (volume.is_complex() if isinstance(volume, Tensor) else np.iscomplexobj(volume)):
            raise InputError(f"complex needs complex images and the {name} is real; score magnitudes by fastmri.")
    _same_shape(prediction, reference, "complex", "(slice, height, width)", dimensions=3)
    return [
        {"slice": index, "nrmse": complex_nrmse(x, y) if bool((y != 0).any()) else None, "phase_error": phase_error(x, y)}
        for index, (x, y) in enumerate(zip(prediction, reference, strict=True))
    ]


def _natural(
    prediction: Array, reference: Array, data_range: float | None, lpips: Distance | None,
    features: tuple[np.ndarray, np.ndarray] | None,
) -> list[Row]:
    """PSNR over all channels; SSIM by 7 x 7 windows, mean over the channels."""
    if data_range not in (None, 1):
        raise InputError(f"natural scores RGB in [0, 1] against the range 1, not {data_range}; divide the pictures instead.")
    prediction, reference = torch.as_tensor(prediction), torch.as_tensor(reference)
    _same_shape(prediction, reference, "natural", "(frame, 3, height, width)", dimensions=4)
    if reference.shape[1] != 3 or not (reference.is_floating_point() and prediction.is_floating_point()):
        raise InputError(f"natural scores RGB as numbers in [0, 1], not {reference.dtype} with {reference.shape[1]} channels; "
                         "convert the pictures.")
    if float(reference.min()) < 0 or float(reference.max()) > 1:
        raise InputError(f"natural scores RGB in [0, 1], but the reference spans {float(reference.min()):.4g} to "
                         f"{float(reference.max()):.4g}; convert both pictures alike.")
    rows = [
        {
            "slice": index, "psnr": psnr(x, y, data_range=1.0), "ssim": ssim(x, y, data_range=1.0),
            "lpips": None if lpips is None else _lpips(lpips, x, y), "data_range": 1.0,
        }
        for index, (x, y) in enumerate(zip(prediction, reference, strict=True))
    ]
    if features is None:
        return [row | {"fid": None} for row in rows]
    return [*rows, {"slice": None, "fid": frechet_distance(*features), "data_range": 1.0}]


def _lpips(lpips: Distance, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float(lpips(*(2 * picture[None].float() - 1 for picture in (x, y))).mean())


def _same_shape(prediction: Array, reference: Array, protocol: str, axes: str, *, dimensions: int) -> None:
    if reference.ndim != dimensions or prediction.shape != reference.shape or 0 in reference.shape:
        raise InputError(f"{protocol} scores {axes} against the same shape, but the prediction is {tuple(prediction.shape)} "
                         f"and the reference {tuple(reference.shape)}.")
