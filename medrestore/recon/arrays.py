"""k-space in memory: what `medrestore recon` does to a scan, on NumPy or torch arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..io import Scan
from ..io.kspace.base import sampled
from ..io.kspace.plausible import doubt
from ..io.kspace.points import strongest_far
from ..io.kspace.trajectory import Points
from ..priors import Prior, opened
from ..priors.store import describe
from ..settings import check_names
from .checks import check_noise, check_plan, check_prior, complex_prior
from .plan import Plan
from .preparation import prepare
from .prepared import Prepared
from .reference import with_reference
from .restoring import Slice, restore_slices
from .settle import settled
from .shared import Shared
from .slices import images_of, slices_at_once

A = TypeVar("A", np.ndarray, Tensor)


@dataclass(frozen=True)
class Reconstruction(Generic[A]):
    """Images in units of the coils' root-sum-of-squares, arrays of the kind that the k-space was.

    A leading slice axis is there where the k-space had one.

    Attributes:
        image: (slice, height, width) complex, the mean of the samples.
        samples: (slice, sample, height, width) complex.
        std: (slice, height, width) real, spread of the samples: zero for one sample, and no calibrated uncertainty.
        zero_filled, cg_sense: (slice, height, width) complex, the baselines beside it.
        misfit: (slice,) |A x - y| over what the noise explains, mean over the samples: about 1 is right.
        slices: how each was prepared and drawn.
        warning: that the prior or the settings do not suit this scan, in one sentence; None where it does.
    """

    image: A
    samples: A
    std: A
    zero_filled: A
    cg_sense: A
    misfit: A
    slices: tuple[Slice, ...]
    warning: str | None = None

    def __repr__(self) -> str:
        return (f"Reconstruction(image {tuple(self.image.shape)}, {self.slices[0].samples.shape[0]} samples, "
                f"misfit {float(self.misfit.mean()):.2f})")


def reconstruct(kspace: A, mask: np.ndarray | Tensor | None = None, *, maps: np.ndarray | Tensor | None = None,
                noise: np.ndarray | Tensor | None = None, prior: Prior | str | Path | None = None, plan: Plan | None = None,
                device: torch.device | str | None = None, on_step: Callable[[int, Tensor], None] | None = None,
                implausible: bool = False, check_fit: bool = False, trajectory: np.ndarray | Tensor | None = None,
                reference_image: np.ndarray | Tensor | None = None, **plan_fields: Any) -> Reconstruction[A]:
    """Undersampled multi-coil k-space to images, as `medrestore recon` makes them.

    Args:
        kspace: (coil, height, width) or (slice, coil, height, width) complex, centred (origin at n // 2), the readout along
            the height, the phase encode along the width; zero where not sampled. A NumPy array or a tensor.
        mask: (width,) or (height, width), 0 and 1: samples that count; None for those that are not zero.
        maps: coil maps, shaped like `kspace`; None estimates them by ESPIRiT.
        noise: (coil, samples) complex samples of noise alone, in the units of `kspace`, which give its covariance.
        prior: of complex images, loaded on `device`, or its folder or name; None takes that of the plan.
        plan: all that decides the image; None takes the defaults of `Plan`.
        device: where to compute; None for the device of a tensor, the CPU for a NumPy array.
        on_step: called with the number of the step and x after it, for each batch.
        implausible: take also what does not look like k-space: a peak far from the centre, axes that look like others.
        check_fit: first hold back some samples of a middle slice, to see whether the prior knows the scan (`warning`).
        trajectory: (readout, sample, 2) real, (row, column) in cycles per field of view, of all slices, where the scan is not
            Cartesian: `kspace` is (coil, readout, sample) then, or (slice, ...), and a mask (readout, sample). `matrix=(h, w)`
            sets the size of the image, by default as far as the trajectory reaches; `trajectory_units` others of its units.
        reference_image: (slice, row, col) or (row, col) real or complex, another contrast or an earlier scan of the same patient,
            registered to this one, for a prior that takes one (docs/conditions.md).
        plan_fields: fields of the plan that are to have other values, such as `method="dds"`, `samples=4`, `noise_std=0.01`.

    Returns:
        The images, on the CPU.

    Raises:
        InputError: an array of another type or shape, values that are not finite, a mask without a sample, an unknown field
            or value of the plan, a prior that is missing or does not suit the scan.
    """
    data = _kspace(kspace)
    plan = _plan(plan or Plan(), prior, plan_fields)
    points = None if trajectory is None else _points(trajectory, data, plan)
    masks = _mask(mask, data) if points is None else _taken(mask, data)
    plane: tuple[int, ...] = tuple(data.shape[-2:]) if points is None else points[1]
    given = None if maps is None else _like(_tensor(maps), (*kspace.shape[:-2], *plane), "maps").reshape(*data.shape[:2], *plane)
    if plan.uncentred and points is None:
        data = torch.fft.fftshift(data, dim=(-2, -1))
        masks = None if masks is None else torch.fft.fftshift(masks, dim=tuple(range(-masks.ndim + (masks.shape[0] == 1), 0)))
    if not implausible:
        _check_layout(data, None if points is None else points[0])
    if device is None:
        device = kspace.device if isinstance(kspace, Tensor) else "cpu"
    if not isinstance(prior, Prior):
        check_prior(describe(plan.prior)["channels"], plan.prior, plan)
        prior = opened(plan.prior, plan, device=str(device), bf16=plan.bf16)
    prior = complex_prior(prior, plan)
    scans = [_scan(slice_, index, masks, noise, plan.noise_scan, points) for index, slice_ in enumerate(data)]
    beside = None if reference_image is None else _beside(reference_image, len(scans), plan)
    return _as_given(*_all(scans, given, prior, plan, torch.device(device), on_step, check_fit, beside), kspace)


def _all(scans: list[Scan], maps: Tensor | None, prior: Prior, plan: Plan, device: torch.device,
         on_step: Callable[[int, Tensor], None] | None, check_fit: bool,
         beside: Tensor | None) -> tuple[list[Slice], str | None]:
    """All slices, as many at once as the plan says, and the warning of a prior that does not know them."""
    common: Shared | None = None

    def ready(index: int, plan: Plan) -> Prepared:
        one = prepare(scans[index], plan, maps=None if maps is None else maps[index, None], device=device,
                      reference=None if common is None else common.reference)
        if beside is not None:
            one = with_reference(one, beside[index], f"slice {index} of reference_image")
        check_plan(one, prior, plan)
        check_noise(one, plan)
        return one

    given, results = plan, list[Slice]()
    if plan.across_slices is not None and len(scans) > 1:
        common = Shared.of(scans[len(scans) // 2], ready(len(scans) // 2, given), prior, plan)
    about = settled(lambda: ready(len(scans) // 2, given), prior, given, check_fit=check_fit)
    plan, prior = about.plan, about.adaptation.prior or prior
    while len(results) < len(scans):
        first = ready(len(results), plan)
        left = len(scans) - len(results)
        count = left if plan.across_slices is not None else slices_at_once(first, plan, device.type, left)  # all are in memory
        numbers = range(len(results), len(results) + count)
        group = [first, *(ready(index, plan) for index in numbers[1:])]
        results += restore_slices(group, prior, plan, numbers=numbers, batch_size=images_of(plan, count), on_step=on_step,
                                  codec=None if common is None else common.codec)
    return results, about.warning


def _as_given(results: list[Slice], warning: str | None, kspace: A) -> Reconstruction[A]:
    """The slices as one, arrays of the kind of `kspace`."""
    names = ("image", "samples", "std", "zero_filled", "cg_sense")
    stacks = {name: torch.stack([getattr(one, name) for one in results]) for name in names}
    stacks["misfit"] = torch.stack([one.restoration.misfit.mean().cpu() for one in results])
    if kspace.ndim == 3:
        stacks = {name: stack[0] for name, stack in stacks.items()}
    arrays: dict[str, Any] = stacks
    if isinstance(kspace, np.ndarray):
        arrays = {name: stack.resolve_conj().numpy() for name, stack in stacks.items()}
    return Reconstruction(**arrays, slices=tuple(results), warning=warning)


def _tensor(array: np.ndarray | Tensor) -> Tensor:
    """On the CPU, where scans are prepared."""
    return array.detach().cpu() if isinstance(array, Tensor) else torch.from_numpy(np.ascontiguousarray(array))


def _kspace(given: np.ndarray | Tensor) -> Tensor:
    """(slice, coil, height, width) complex64, checked."""
    if not isinstance(given, np.ndarray | Tensor):
        raise InputError(f"kspace must be a NumPy array or a tensor, got {type(given).__name__}")
    data = _tensor(given)
    if data.ndim not in (3, 4) or 0 in data.shape:
        raise InputError(f"kspace must be (coil, height, width) or (slice, coil, height, width), got {tuple(data.shape)}")
    if not data.is_complex():
        raise InputError(f"kspace must be complex, got {data.dtype}; where real and imaginary parts are two channels, "
                         "make one complex array of them")
    data = data.to(torch.complex64)
    if not bool(data.isfinite().all()):
        raise InputError("kspace has values that are not finite; repair or leave out the slices that have them")
    return data if data.ndim == 4 else data[None]


def _mask(given: np.ndarray | Tensor | None, kspace: Tensor) -> Tensor | None:
    """(1, width) or (height, width) float32 of 0 and 1, or None where each slice shows its own."""
    if given is None:
        return None
    mask = _tensor(given).float()
    height, width = kspace.shape[-2:]
    mask = mask[None] if mask.ndim == 1 else mask
    if mask.ndim != 2 or mask.shape[1] != width or mask.shape[0] not in (1, height):
        raise InputError(f"mask must be ({width},) or ({height}, {width}) to go with this k-space, got {tuple(given.shape)}")
    if not bool(((mask == 0) | (mask == 1)).all()):
        raise InputError("mask must hold 0 and 1 alone, 1 where a sample was taken")
    if not bool(mask.any()):
        raise InputError("mask has no sample; give 1 where a sample was taken")
    return mask


def _points(given: np.ndarray | Tensor, kspace: Tensor, plan: Plan) -> tuple[Tensor, tuple[int, int]]:
    """A trajectory (readout, sample, 2) float32 in cycles per field of view, checked, and the (height, width) of the image."""
    values = _tensor(given)
    if tuple(values.shape) != (*kspace.shape[-2:], 2) or values.is_complex() or not bool(values.isfinite().all()):
        raise InputError(f"trajectory must be real, finite and (readout, sample, 2) = {(*kspace.shape[-2:], 2)} to go with this "
                         f"k-space, got {values.dtype} {tuple(values.shape)}")
    cycles, grid, _ = Points(values.float().numpy()).in_cycles(plan.trajectory_units or "cycles-per-fov", plan.matrix,
                                                               Path("the array"))
    return torch.from_numpy(np.ascontiguousarray(cycles)), grid


def _beside(given: np.ndarray | Tensor, slices: int, plan: Plan) -> Tensor:
    """(slice, row, col) of a reference image, checked."""
    if plan.is_classical or plan.across_slices is not None:
        raise InputError("`reference_image` goes with a diffusion method slice by slice; leave it out")
    images = _tensor(given)
    images = images[None] if images.ndim == 2 else images
    if images.ndim != 3 or len(images) != slices:
        raise InputError(f"`reference_image` must be (slice, row, col) with {slices} slices, registered to the scan, got "
                         f"{tuple(given.shape)}")
    return images


def _taken(given: np.ndarray | Tensor | None, kspace: Tensor) -> Tensor | None:
    """(readout, sample) float32 of 0 and 1; None where each slice shows its own."""
    if given is None:
        return None
    mask = _tensor(given).float()
    if mask.shape != kspace.shape[-2:] or not bool(((mask == 0) | (mask == 1)).all()) or not bool(mask.any()):
        raise InputError(f"mask must be {tuple(kspace.shape[-2:])} of 0 and 1, 1 where a sample was taken, to go with this "
                         f"k-space along a trajectory, got {tuple(mask.shape)}")
    return mask


def _like(given: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """Complex values of a shape."""
    if tuple(given.shape) != shape or not given.is_complex():
        raise InputError(f"{name} must be complex and shaped like kspace, {shape}, got {given.dtype} "
                         f"{tuple(given.shape)}")
    return given.to(torch.complex64)


def _scan(kspace: Tensor, index: int, mask: Tensor | None, noise: np.ndarray | Tensor | None,
          noise_scan: bool, points: tuple[Tensor, tuple[int, int]] | None = None) -> Scan:
    """A slice (coil, height, width) as a file would give it."""
    kspace = kspace[None] if mask is None else kspace[None] * mask
    if not bool(kspace.any()):
        raise InputError(f"kspace of slice {index} is zero everywhere; leave the slice out, or correct the mask")
    samples = None if noise is None or not noise_scan else _tensor(noise).to(torch.complex64)
    if samples is not None and (samples.ndim != 2 or len(samples) != kspace.shape[1]):
        raise InputError(f"noise must be (coil, samples) with {kspace.shape[1]} coils, got {tuple(samples.shape)}")
    height, width = kspace.shape[-2:] if points is None else points[1]
    if mask is None:
        mask = sampled(kspace) if points is None else (kspace != 0).flatten(0, 1).any(0).float()
    trajectory, grid = (None, None) if points is None else points
    return Scan(name="array", index=index, kspace=kspace, mask=mask, acs=None, noise=samples, reference=None,
                crop=(height, width), pixel_mm=None, affine=None, trajectory=trajectory, grid=grid)


def _check_layout(kspace: Tensor, trajectory: Tensor | None) -> None:
    """Refuses what does not look like (slice, coil, height, width) of centred k-space, or like samples of a trajectory."""
    for index, slice_ in enumerate(kspace):
        found = doubt(slice_) if trajectory is None else strongest_far(slice_, trajectory, torch.ones(slice_.shape[-2:]))
        if found is not None:
            raise InputError(f"kspace of slice {index} does not look like k-space, {found.what}; {found.remedy}, or pass "
                             "`implausible` where it is right as it is")


def _plan(plan: Plan, prior: Prior | str | Path | None, changes: Mapping[str, Any]) -> Plan:
    """The plan with other values in some of its fields."""
    check_names(Plan, changes)
    for name in changes:
        if name in ("maps", "dataset", "axes", "select", "separate", "slices", "trajectory", "reference_image"):
            raise InputError(f"Plan: {name} says how a file is read; select from the arrays, or use `recon.recon_file`")
    if isinstance(prior, str | Path):
        changes = {**changes, "prior": str(prior)}
    return replace(plan, **changes)
