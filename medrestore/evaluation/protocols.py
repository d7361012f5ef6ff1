"""Protocols with names: what is scored, in which frame, against which range, and what is printed of it.

A score without its protocol cannot be compared: see docs/metrics.md. None of them normalises or aligns
anything.

- `fastmri`: one row a volume; PSNR, SSIM and NMSE of magnitudes as fastMRI's public evaluation has them.
- `fastmri-slice`: one row a slice, same frame, same peak (the volume's). The mean of its SSIM is that of
  `fastmri`; the mean of its PSNR is not.
- `complex`: one row a slice; relative error and phase error of complex images, which magnitudes hide.
- `natural`: one row a frame of RGB in [0, 1], range 1; LPIPS and FID only with weights and features that the
  caller gives.
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
from ..metrics import Array, complex_nrmse, fastmri_frames, nmse, phase_error, psnr, ssim
from .perceptual import Distance, distance_of, frechet_distance

ProtocolName = Literal["fastmri", "fastmri-slice", "complex", "natural"]
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
        measure: (prediction, reference, peak) to its value, of what a row stands for; None for those that
            need more than two images, which `score_scene` or the caller adds.
    """

    name: str
    unit: str
    higher_is_better: bool
    digits: int
    title: str
    measure: Callable[[Array, Array, float], float | None] | None = None

    @property
    def heading(self) -> str:
        """Title and unit, as in "PSNR (dB)"."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


_PSNR = Metric("psnr", "dB", True, 2, "PSNR", lambda x, y, peak: psnr(x, y, data_range=peak))
_SSIM = Metric("ssim", "", True, 4, "SSIM", lambda x, y, peak: ssim(x, y, data_range=peak))
_NMSE = Metric("nmse", "", False, 4, "NMSE", lambda x, y, peak: nmse(x, y) if _shows(y) else None)
_NRMSE = Metric("nrmse", "", False, 4, "NRMSE", lambda x, y, peak: complex_nrmse(x, y) if _shows(y) else None)
_PHASE = Metric("phase_error", "degrees", False, 2, "phase error", lambda x, y, peak: phase_error(x, y))
_LPIPS, _FID = Metric("lpips", "", False, 4, "LPIPS"), Metric("fid", "", False, 2, "FID")
_SCENES = (
    Metric("accuracy", "", False, 4, "accuracy term"),
    Metric("consistency", "", False, 4, "consistency term"), _PSNR, _SSIM,
    Metric("mae", "grey levels", False, 2, "MAE"), Metric("hole_psnr", "dB", True, 2, "PSNR in the hole"),
    Metric("hole_ssim", "", True, 4, "SSIM in the hole"),
    Metric("hole_mae", "grey levels", False, 2, "MAE in the hole"),
    _LPIPS, _FID,
)
# the first of each is the one to tune by; a name means one metric in all of them
METRICS: dict[str, tuple[Metric, ...]] = {
    "fastmri": (_PSNR, _SSIM, _NMSE),
    "fastmri-slice": (_PSNR, _SSIM, _NMSE),
    "complex": (_NRMSE, _PHASE),
    "natural": (_PSNR, _SSIM, _LPIPS, _FID, Metric("residual", "", False, 4, "|Ax − y| / |y|"),
                Metric("consistency_l1", "", False, 2, "consistency |Ax − y|₁")),
    "dreaming-corrected": _SCENES,
    "dreaming-official": _SCENES,
}
KNOWN: dict[str, Metric] = {one.name: one for metrics in METRICS.values() for one in metrics}


def metric(name: str, protocol: str | None = None) -> Metric:
    """The metric of that name, in `protocol` or in any.

    Raises:
        InputError: there is no such protocol, or no such metric in it.
    """
    if protocol is not None and protocol not in METRICS:
        raise InputError(f"there is no protocol {protocol!r}; there are {', '.join(METRICS)}.")
    known = KNOWN if protocol is None else {one.name: one for one in METRICS[protocol]}
    if name not in known:
        raise InputError(f"there is no metric {name!r}{f' in {protocol}' if protocol else ''}; there are {', '.join(known)}.")
    return known[name]


def score(
    protocol: ProtocolName, prediction: Array, reference: Array, *, data_range: float | None = None,
    lpips: Distance | None = None, features: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[Row]:
    """One row of scores for the volume (`fastmri`) or for each of its slices or frames, metrics by the names
    of `METRICS`.

    Args:
        prediction, reference: (slice, height, width), real or complex (of complex ones `fastmri` takes the
            magnitude, `complex` takes no other); (frame, 3, height, width) in [0, 1] for `natural`.
        data_range: peak of PSNR and SSIM; the maximum of the reference's frame where not given, and always 1
            for `natural`. Give the volume's maximum when scoring only some of its slices. `complex` needs
            none.
        lpips: for `natural`, such as `load_lpips` gives; not computed (None) without.
        features: for `natural`, Inception features (picture, 2048) of prediction and reference; FID, in a row
            of its own with slice None, is not computed (None) without.

    Returns:
        Rows with `slice` (None for the whole), `protocol`, `data_range` and the metrics. PSNR is infinite for
        a perfect slice; relative scores are None where the reference is zero.

    Raises:
        InputError: an unknown protocol, shapes or values that do not fit it, or an option that it has no use
            for.
    """
    if protocol not in get_args(ProtocolName):
        scenes = "; scenes are scored by score_scene" if protocol in METRICS else ""
        raise InputError(f"there is no protocol {protocol!r} for images; there are {', '.join(get_args(ProtocolName))}{scenes}.")
    if protocol != "natural" and (lpips is not None or features is not None):
        raise InputError(f"{protocol} has no LPIPS and no FID; they belong to natural.")
    if protocol == "complex":
        return [_measured_row(protocol, index, x, y, None) for index, x, y in _complex(prediction, reference)]
    if protocol == "natural":
        return _natural(prediction, reference, data_range, lpips, features)
    prediction, reference = fastmri_frames(_magnitudes(prediction), _magnitudes(reference))
    peak = float(reference.max()) if data_range is None else data_range
    if protocol == "fastmri":
        return [_measured_row(protocol, None, prediction, reference, peak)]
    return [_measured_row(protocol, index, x[None], y[None], peak)
            for index, (x, y) in enumerate(zip(prediction, reference, strict=True))]


def _measured_row(protocol: ProtocolName, index: int | None, x: Array, y: Array, peak: float | None) -> Row:
    """What the metrics of a protocol measure of a volume, slice or frame."""
    measured = {one.name: one.measure(x, y, peak or 0.0) for one in METRICS[protocol] if one.measure is not None}
    return {"slice": index, "protocol": protocol, **measured} | ({} if peak is None else {"data_range": peak})


def _shows(reference: Array) -> bool:
    """Whether it is not zero everywhere: relative errors need that."""
    return bool((reference != 0).any())


def _magnitudes(volume: Array) -> Array:
    """Real values as they are, complex ones without their phase."""
    if isinstance(volume, Tensor):
        return volume.abs() if volume.is_complex() else volume
    return np.abs(volume) if np.iscomplexobj(volume) else volume


def _complex(prediction: Array, reference: Array) -> list[tuple[int, Array, Array]]:
    """The slices, with their numbers."""
    for name, volume in (("prediction", prediction), ("reference", reference)):
        if not (volume.is_complex() if isinstance(volume, Tensor) else np.iscomplexobj(volume)):
            raise InputError(f"complex needs complex images and the {name} is real; score magnitudes by fastmri.")
    _same_shape(prediction, reference, "complex", "(slice, height, width)", dimensions=3)
    return [(index, x, y) for index, (x, y) in enumerate(zip(prediction, reference, strict=True))]


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
    rows = []
    for index, (x, y) in enumerate(zip(prediction, reference, strict=True)):
        distance = None if lpips is None else distance_of(lpips, x[None].float(), y[None].float())
        rows.append(_measured_row("natural", index, x, y, 1.0) | {"lpips": distance})
    if features is None:
        return [row | {"fid": None} for row in rows]
    return [*rows,
            {"slice": None, "protocol": "natural", "fid": frechet_distance(*features), "data_range": 1.0}]


def _same_shape(prediction: Array, reference: Array, protocol: str, axes: str, *, dimensions: int) -> None:
    if reference.ndim != dimensions or prediction.shape != reference.shape or 0 in reference.shape:
        raise InputError(f"{protocol} scores {axes} against the same shape, but the prediction is {tuple(prediction.shape)} "
                         f"and the reference {tuple(reference.shape)}.")
