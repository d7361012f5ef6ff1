"""Scores of restored scenes against the truth, under two protocols that must not be mixed.

`dreaming-official` gives the numbers of the DREAMING challenge's scorer, faults and all, under torchmetrics
1.3.1, which was
current when it was published (what its servers had installed is not known):

- It subtracts 8-bit numbers without widening them, prediction - truth, so differences wrap at 256: one grey
  level too bright costs 1, one too dark 255. Their squares wrap once more, which caps the mean squared error
  at 255.
- PSNR takes the largest value of the true frame for its peak. Equal frames have an infinite one, and the
  scene -infinity.
- Frames whose mask hides nothing are skipped; the others count as a whole, known pixels included.
- MAE is divided by 255 twice, then multiplied by 200; PSNR becomes 1 - PSNR / 50; LPIPS x 10; FID / 100.
  Lower is better.
- Accuracy is the mean of the first two, consistency of the last two. No term looks at time.

`dreaming-corrected` keeps the terms and their weights and takes the faults away: differences do not wrap, MAE
is divided by 255 once, the peak is 255, and a frame's PSNR counts as `PSNR_CAP` at most, so that one perfect
frame does not swallow the mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from math import inf, log10, nan
from pathlib import Path
from typing import Literal, get_args
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..files import write_file
from ..metrics import SSIM_WINDOW, ssim_map
from .perceptual import Distance, distance_of, frechet_distance
from .tables import NOT_COMPUTED, csv_text

Protocol = Literal["dreaming-corrected", "dreaming-official"]
PSNR_CAP = 100.0  # dB; a 1280 x 720 frame with a hundred pixels off by one has less


class TrueScene(Interface):
    """Masks and truth to score against; `io.Scene` is one."""

    @property
    def name(self) -> str: ...

    @property
    def count(self) -> int: ...

    def mask(self, index: int) -> Tensor: ...

    def truth(self, index: int) -> Tensor | None: ...


@dataclass(frozen=True)
class FrameScore:
    """One frame; None where it is not defined (nothing hidden, no weights, no frame before it).

    Attributes:
        scene, frame: which, counted from 0.
        hole_fraction: the hidden share of it.
        mae: mean absolute error in grey levels, as the protocol has it.
        psnr: of the whole frame in dB, as the protocol has it; infinite for a perfect one.
        ssim: of the whole frame, RGB, 7 x 7 uniform window, range 255; in both protocols.
        hole_mae, hole_psnr, hole_ssim: over the hidden pixels alone (range 255, nothing wraps); in both
            protocols.
        lpips: of the whole frame.
        known_changed: how many known pixels differ from the truth.
        change, true_change: mean absolute difference to the frame before, of the prediction and of the truth,
            over the pixels hidden in either; `change` above `true_change` is flicker, below it is a fill that
            does not move along.
    """

    scene: str
    frame: int
    hole_fraction: float
    mae: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    hole_mae: float | None = None
    hole_psnr: float | None = None
    hole_ssim: float | None = None
    lpips: float | None = None
    known_changed: int | None = None
    change: float | None = None
    true_change: float | None = None


@dataclass(frozen=True)
class SceneScore:
    """One scene: the terms of the challenge (lower is better; None = not computed), and plain means over its
    scored frames.

    Attributes:
        frames, scored: how many there are, and how many hide something.
        mae_term, psnr_term, lpips_term, fid_term: normalised and weighted as the protocol has it.
        accuracy, consistency: means of the first two and of the last two terms.
        mae, psnr, ssim, hole_mae, hole_psnr, hole_ssim, lpips: means over the scored frames, units as in
            `FrameScore`.
        fid: Frechet distance of the features given.
        flicker: mean change from frame to frame in the hole minus that of the truth, grey levels.
    """

    scene: str
    protocol: Protocol
    frames: int
    scored: int
    mae_term: float
    psnr_term: float
    lpips_term: float | None
    fid_term: float | None
    accuracy: float
    consistency: float | None
    mae: float
    psnr: float
    ssim: float | None
    hole_mae: float
    hole_psnr: float
    hole_ssim: float | None
    lpips: float | None
    fid: float | None
    flicker: float | None


@dataclass(frozen=True)
class Summary:
    """The means over scenes, as on the challenge's table; None where any scene has none."""

    protocol: Protocol
    scenes: int
    mae_term: float
    psnr_term: float
    lpips_term: float | None
    fid_term: float | None
    accuracy: float
    consistency: float | None


def score_scene(
    prediction: Iterable[Tensor],
    scene: TrueScene,
    *,
    protocol: Protocol = "dreaming-corrected",
    lpips: Distance | None = None,
    features: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[SceneScore, list[FrameScore]]:
    """The scores of one scene and of each of its frames; frames are taken one at a time.

    Args:
        prediction: the restored frames in order, (3, height, width) uint8.
        scene: masks and truth.
        lpips: such as `load_lpips`; the term is not computed without.
        features: Inception features (picture, 2048) of the predicted and of the true frames that hide
            something; FID is not computed without.

    Raises:
        InputError: no truth, counts or sizes that differ, or a scene that hides nothing.
    """
    if protocol not in get_args(Protocol):
        raise InputError(f"there is no protocol {protocol!r}; there are {', '.join(get_args(Protocol))}.")
    rows: list[FrameScore] = []
    before: tuple[Tensor, Tensor, Tensor] | None = None
    for index, frame in enumerate(prediction):
        if index >= scene.count:
            raise InputError(f"{scene.name} has {scene.count} frames and its prediction more; score what belongs together.")
        truth, hole = scene.truth(index), ~scene.mask(index)
        if truth is None:
            raise InputError(f"{scene.name} comes without a truth, so it cannot be scored; give the unobstructed frames.")
        if frame.dtype != torch.uint8 or frame.shape != truth.shape:
            raise InputError(f"{scene.name}: predicted frame {index} is {frame.dtype} {tuple(frame.shape)}, not uint8 "
                             f"{tuple(truth.shape)}; predictions are scored at the size of the truth.")
        rows.append(_score_frame(scene.name, index, frame, truth, hole, before, protocol, lpips))
        before = frame, truth, hole
    if len(rows) != scene.count:
        raise InputError(f"{scene.name} has {scene.count} frames and its prediction {len(rows)}; score what belongs together.")
    return _score_rows(scene.name, rows, protocol, None if features is None else frechet_distance(*features)), rows


def _score_frame(
    scene: str, index: int, frame: Tensor, truth: Tensor, hole: Tensor,
    before: tuple[Tensor, Tensor, Tensor] | None,
    protocol: Protocol, lpips: Distance | None,
) -> FrameScore:
    fraction = float(hole.double().mean())
    change = true_change = None
    if before is not None and bool((region := hole | before[2]).any()):
        change = _mean_over(_absolute(frame, before[0]), region)
        true_change = _mean_over(_absolute(truth, before[1]), region)
    if fraction == 0:
        return FrameScore(scene, index, fraction, change=change, true_change=true_change)
    error = _absolute(frame, truth)
    mae, psnr = official_errors(frame, truth) if protocol == "dreaming-official" else (float(error.mean()), _psnr(error))
    ssim, hole_ssim = _frame_ssim(frame, truth, hole)
    in_hole = error[hole.expand_as(error)]
    return FrameScore(
        scene, index, fraction, mae, psnr, ssim, float(in_hole.mean()), _psnr(in_hole), hole_ssim,
        None if lpips is None else _scene_lpips(frame, truth, protocol, lpips),
        int(((error > 0).any(0, keepdim=True) & ~hole).sum()), change, true_change,
    )


def official_errors(prediction: Tensor, truth: Tensor) -> tuple[float, float]:
    """MAE and PSNR of uint8 tensors as the official scorer has them: 8-bit differences, and squares of them,
    that wrap.

    The sums here are exact; the scorer kept them in float32, which moves the seventh digit.
    """
    difference = prediction - truth  # uint8: modulo 256
    mae = float(difference.double().mean())
    squared = float((difference * difference).double().mean())
    peak = float(truth.max())
    if squared == 0:
        return mae, inf
    return mae, -inf if peak == 0 else 20 * log10(peak) - 10 * log10(squared)


def _absolute(first: Tensor, second: Tensor) -> Tensor:
    return (first.double() - second.double()).abs()


def _mean_over(values: Tensor, region: Tensor) -> float:
    return float(values[region.expand_as(values)].mean())


def _psnr(error: Tensor) -> float:
    squared = float(error.square().mean())
    return inf if squared == 0 else 20 * log10(255) - 10 * log10(squared)


def _frame_ssim(frame: Tensor, truth: Tensor, hole: Tensor) -> tuple[float | None, float | None]:
    """SSIM of the frame and of the windows centred in the hole, see `metrics.ssim_map`.

    None for a frame smaller than the window, and for a hole that lies within 3 pixels of the border.
    """
    if min(frame.shape[-2:]) < SSIM_WINDOW:
        return None, None
    values = ssim_map(frame.double()[None], truth.double()[None], data_range=255.0)[0]
    edge = SSIM_WINDOW // 2
    inside = hole[:, edge:-edge, edge:-edge]
    return float(values.mean()), _mean_over(values, inside) if bool(inside.any()) else None


def _scene_lpips(frame: Tensor, truth: Tensor, protocol: Protocol, lpips: Distance) -> float:
    """On [-1, 1]; the official scorer rounds its input to half precision on the way."""
    pictures = (x[None].float() / 255 for x in (frame, truth))
    if protocol == "dreaming-official":
        pictures = (x.half().float() for x in pictures)
    return distance_of(lpips, *pictures)


def _score_rows(scene: str, rows: Sequence[FrameScore], protocol: Protocol, fid: float | None) -> SceneScore:
    scored = [row for row in rows if row.mae is not None]
    if not scored:
        raise InputError(f"{scene} hides nothing in any of its {len(rows)} frames, so nothing is scored; check its masks.")
    official = protocol == "dreaming-official"
    mae, psnr, lpips = _plain_mean(_known(scored, "mae")), _plain_mean(_known(scored, "psnr")), _common_mean(scored, "lpips")
    if not official:
        psnr = _plain_mean([min(value, PSNR_CAP) for value in _known(scored, "psnr")])
    mae_term = mae / 255 * 200 / (255 if official else 1)
    psnr_term = 1 - psnr / 50
    lpips_term = None if lpips is None else lpips * 10
    fid_term = None if fid is None else fid / 100
    flicker = [row.change - row.true_change
               for row in rows if row.change is not None and row.true_change is not None]
    return SceneScore(
        scene=scene, protocol=protocol, frames=len(rows), scored=len(scored), mae_term=mae_term,
        psnr_term=psnr_term,
        lpips_term=lpips_term, fid_term=fid_term, accuracy=(mae_term + psnr_term) / 2,
        consistency=_mean_of_both(lpips_term, fid_term), mae=mae, psnr=psnr,
        ssim=_common_mean(scored, "ssim"),
        hole_mae=_plain_mean(_known(scored, "hole_mae")),
        hole_psnr=_plain_mean([min(value, PSNR_CAP) for value in _known(scored, "hole_psnr")]),
        hole_ssim=_common_mean(scored, "hole_ssim"), lpips=lpips, fid=fid,
        flicker=_plain_mean(flicker) if flicker else None,
    )


def summarise(scenes: Sequence[SceneScore]) -> Summary:
    """The means over scenes of one protocol.

    Raises:
        InputError: no scenes, or scenes of two protocols.
    """
    protocols = {scene.protocol for scene in scenes}
    if len(protocols) != 1:
        raise InputError(f"{len(scenes)} scenes of the protocols {', '.join(sorted(protocols)) or 'none'} have no summary; "
                         "score at least one scene, all by one protocol.")
    mae_term, psnr_term = (_plain_mean([getattr(scene, name) for scene in scenes]) for name in ("mae_term", "psnr_term"))
    lpips_term, fid_term = (_common_mean(scenes, name) for name in ("lpips_term", "fid_term"))
    return Summary(
        protocol=protocols.pop(), scenes=len(scenes), mae_term=mae_term, psnr_term=psnr_term,
        lpips_term=lpips_term,
        fid_term=fid_term, accuracy=(mae_term + psnr_term) / 2,
        consistency=_mean_of_both(lpips_term, fid_term),
    )


def _known(rows: Sequence[FrameScore | SceneScore], name: str) -> list[float]:
    """The values of one field that are not None."""
    return [value for row in rows if (value := getattr(row, name)) is not None]


def _plain_mean(values: Sequence[float]) -> float:
    """The mean; infinities of both signs have none."""
    return nan if {inf, -inf} <= set(values) else sum(values) / len(values)


def _common_mean(rows: Sequence[FrameScore | SceneScore], name: str) -> float | None:
    """The mean of a field over all rows; None when any row has none."""
    values = _known(rows, name)
    return _plain_mean(values) if len(values) == len(rows) else None


def _mean_of_both(first: float | None, second: float | None) -> float | None:
    """The mean of two numbers; None when either is."""
    return None if first is None or second is None else _plain_mean([first, second])


def write_frames_csv(path: str | Path, rows: Iterable[FrameScore]) -> None:
    """One line a frame; a value that is not there is left empty."""
    _write_scores(Path(path), FrameScore, rows, "")


def write_scenes_csv(path: str | Path, rows: Iterable[SceneScore]) -> None:
    """One line a scene; a value that is not there reads "not computed"."""
    _write_scores(Path(path), SceneScore, rows, NOT_COMPUTED)


def _write_scores(path: Path, kind: type, rows: Iterable[FrameScore | SceneScore], absent: str) -> None:
    names = [field.name for field in fields(kind)]
    lines = [[absent if (value := getattr(row, name)) is None else str(value) for name in names] for row in rows]
    write_file(path, csv_text(names, lines))
