"""Whether an array can be the k-space of a slice: what speaks against its layout, seen from its energy alone.

Each sign is positive evidence of another layout, so that noise, empty slices, few lines and odd objects pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...fft import fft2c

PEAK = 3.0  # times what the centre of k-space has at most, where the peak is elsewhere
NEAR = 16  # the centre is within a 16th of an axis, at least 1
MIDDLE = 8  # the middle is within an 8th of an axis to either side
SPREAD, GATHERED = 0.6, 0.9  # shares of the energy in the middle: below the one it is spread, above the other gathered
COILS, COIL_SHARE, COIL_SPREAD = 16, 0.8, 0.5  # coils from which on their axis is looked at, and shares as above
ABOVE_NOISE = 1.5  # times its mean energy that k-space of an object has at least around its centre
SLICES, SLICE_RATIO = 16, 30.0  # slices from which on the axis is looked at; energy of the middle one over its neighbours'


@dataclass(frozen=True)
class Doubt:
    """What speaks against a layout: `what` in words, and what would make it right, as far as the file's format allows."""

    what: str
    remedy: str


def doubt(kspace: Tensor) -> Doubt | None:
    """What speaks against (coil, height, width) being centred k-space; None where nothing does."""
    energy = kspace.abs().square()
    if not bool(energy.any()):
        return None
    return _only_magnitudes(kspace) or _axes(energy) or _is_an_image(kspace, energy) or _peak(energy.sum(0).sqrt())


def is_noise(kspace: Tensor) -> bool:
    """Whether (coil, height, width) has no more energy a sample around the centre of k-space than elsewhere."""
    energy, (height, width) = kspace.abs().square(), kspace.shape[-2:]
    rows, columns = (slice(n // 2 - max(1, n // NEAR), n // 2 + max(1, n // NEAR) + 1) for n in (height, width))
    found = energy[energy > 0]
    centre = energy[:, rows, columns]
    return len(found) > 0 and bool((centre > 0).any()) and float(centre[centre > 0].mean()) < ABOVE_NOISE * float(found.mean())


def slices_doubt(energies: tuple[float, float, float]) -> Doubt | None:
    """What speaks against an axis of slices, from the energies of the middle one and of those an 8th of the axis away."""
    middle, before, after = energies
    if middle <= SLICE_RATIO * max(before, after):
        return None
    return Doubt("its slices are a third direction of k-space, with nearly all energy in the middle one",
                 "transform it along that axis first, or name its three axes row, partition and col by `axes`")


def _only_magnitudes(kspace: Tensor) -> Doubt | None:
    """Numbers without a phase: none is negative, and no imaginary part is other than zero."""
    sampled = kspace.real[kspace != 0]
    if bool(kspace.imag.any()) or bool((sampled < 0).any()) or bool((sampled == sampled[0]).all()):
        return None
    return Doubt("it has magnitudes alone, all imaginary parts being zero", "give complex k-space")


def _share_near_middle(profile: Tensor) -> float:
    """The share of an energy profile (n,) within an 8th of the axis from its middle."""
    index = torch.arange(len(profile), device=profile.device)
    return float(profile[(index - len(profile) // 2).abs() <= len(profile) / MIDDLE].sum() / profile.sum())


def _axes(energy: Tensor) -> Doubt | None:
    """An axis of coils whose energy is gathered in the middle, beside one of k-space where it is not."""
    coils = len(energy)
    shares = {"row": _share_near_middle(energy.sum((0, 2))), "col": _share_near_middle(energy.sum((0, 1)))}
    name = min(shares, key=lambda key: shares[key])
    if coils < COILS or _share_near_middle(energy.sum((1, 2))) < COIL_SHARE or shares[name] > COIL_SPREAD:
        return None
    sizes = "{} x {}".format(*energy.shape[1:])
    return Doubt(f"it is read as {coils} coils of {sizes}, but its energy is gathered as in k-space along its coils and not "
                 f"along its axis {name!r}", "name its axes in their order by `axes`")


def _is_an_image(kspace: Tensor, energy: Tensor) -> Doubt | None:
    """An axis along which the energy is spread as in an image, and gathered once it is transformed."""
    strongest = kspace[int(energy.sum((1, 2)).argmax())]
    found = []
    for axis, name in ((0, "row"), (1, "col")):
        if len(energy) * energy.shape[1 + axis] < 2 * MIDDLE or _share_near_middle(energy.sum((0, 2 - axis))) >= SPREAD:
            continue
        transformed = fft2c(strongest, axes=(axis,)).abs().square()
        if _share_near_middle(transformed.sum(1 - axis)) > GATHERED:
            found.append(name)
    if not found:
        return None
    return Doubt(f"along {' and '.join(map(repr, found))} it is an image and not k-space", "transform it by medrestore.fft.fft2c")


def _peak(magnitude: Tensor) -> Doubt | None:
    """A peak, over 3 x 3 samples, that is far from the centre and far above what is there; `magnitude` is (height, width)."""
    height, width = magnitude.shape
    sampled = (magnitude > 0).to(magnitude)
    total, count = (F.avg_pool2d(part[None, None], 3, 1, 1, count_include_pad=True)[0, 0] for part in (magnitude, sampled))
    mean = torch.where(sampled > 0, total / count.clamp(min=1 / 9), 0.0)
    rows, columns = (slice(n // 2 - max(1, n // NEAR), n // 2 + max(1, n // NEAR) + 1) for n in (height, width))
    centre = float(mean[rows, columns].max()) if mean[rows, columns].numel() else 0.0
    row, column = divmod(int(mean.argmax()), width)
    if centre == 0 or float(mean.max()) <= PEAK * centre:
        return None
    corner = all(min(at, n - at) <= max(1, n // NEAR) for at, n in ((row, height), (column, width)))
    where = f"its peak lies at ({row}, {column}) and not near the centre of k-space, ({height // 2}, {width // 2})"
    if corner:
        return Doubt(f"{where}, but in a corner, as an FFT without fftshift leaves it", "pass `uncentred`")
    return Doubt(where, "shift or pad it so that the centre is at n // 2, or correct `axes`")
