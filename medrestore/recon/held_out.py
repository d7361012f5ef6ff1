"""Samples that are held back: how well a reconstruction from the others predicts them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..mri import centre_of
from ..mri.sampling import calibration_region
from ..operators import AnySense, NonCartesian, encoding
from ..priors import Prior
from ..problem import Problem
from ..restoration import restore_all
from .data_step import data_step
from .plan import Plan
from .prepared import Prepared, reconstructed
from .reference import told

SHARE = 0.15  # of the samples outside the calibration region, in each part
PIECES = 32  # of a trajectory at least, that are held back or not
FEWEST = 8  # lines or points outside the calibration region that can be divided


def parts(sense: AnySense, seed: int, count: int) -> list[Tensor]:
    """Disjoint parts of the samples outside the calibration region, lines or points, each shaped like the mask.

    Along a trajectory whole readouts are held back, or pieces of them where they are few: neighbouring samples tell each other.

    Returns:
        None of them where there are too few samples to divide.
    """
    if isinstance(sense, NonCartesian):
        return _pieces(sense, seed, count)
    mask = sense.mask
    inner = torch.zeros_like(mask, dtype=torch.bool)
    inner[calibration_region(mask)] = True
    outer = ((mask > 0) & ~inner).flatten().nonzero()[:, 0]
    if len(outer) < FEWEST:
        return []
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(outer))).to(outer.device)
    size = round(SHARE * len(outer))
    found = [torch.zeros(mask.numel(), device=mask.device, dtype=mask.dtype) for _ in range(count)]
    for number, part in enumerate(found):
        part[outer[order[number * size:(number + 1) * size]]] = 1
    return [part.reshape(mask.shape) for part in found]


def _pieces(sense: NonCartesian, seed: int, count: int) -> list[Tensor]:
    """Of a trajectory: pieces of readouts outside the calibration region, drawn at random."""
    readouts, samples = sense.mask.shape
    rows, columns = centre_of(sense.trajectory, sense.shape, sense.mask)
    half = torch.tensor([rows.stop - rows.start, columns.stop - columns.start], device=sense.mask.device) / 2
    outer = ((sense.trajectory.abs() > half).any(-1) & (sense.mask > 0)).to(sense.mask)
    each = -(-PIECES // readouts)  # pieces of a readout
    piece = torch.arange(samples, device=sense.mask.device) * each // samples
    number = torch.arange(readouts, device=sense.mask.device)[:, None] * each + piece
    total = readouts * each
    order = torch.from_numpy(np.random.default_rng(seed).permutation(total)).to(number.device)
    size = round(SHARE * total)
    chosen = [outer * torch.isin(number, order[k * size:(k + 1) * size]) for k in range(count)]
    return chosen if size > 0 and all(bool(part.any()) for part in chosen) else []


def without(prepared: Prepared, part: Tensor, plan: Plan) -> Prepared:
    """The slice as if `part` of its samples had not been measured; coil maps and noise stay those of all.

    A method that inverts the operator gets its exact spectrum, as for all samples; others take conjugate gradients.
    """
    left, problem, sense = 1 - part, prepared.problem, prepared.sense
    if isinstance(sense, NonCartesian):
        weighted, kept = (replace(one, mask=left * one.mask) for one in (problem.operator, sense))
        sampling = prepared.sampling
    else:
        weighted, kept = (encoding(one.maps, left * one.mask) for one in (problem.operator, sense))
        sampling = replace(prepared.sampling, mask=left.to(prepared.sampling.mask) * prepared.sampling.mask)
    form = prepared.data_step
    if not plan.is_classical and plan.sampler.inverts():
        form = data_step(weighted, plan.sampler, steps=plan.steps, samples=plan.samples, most_gb=plan.spectral_gb,
                         noisy=bool(problem.sigma > 0))
        weighted = form.operator
    return replace(prepared, problem=Problem(weighted, left * problem.y, problem.sigma), data_step=form,
                   kspace=left * prepared.kspace, sense=kept, sampling=sampling)


def error(prepared: Prepared, prior: Prior, plan: Plan, held_back: Sequence[Tensor],
          on_call: Callable[[], None] = lambda: None) -> float:
    """|predicted - measured|^2 / |measured|^2 of samples that were held back, mean over the parts.

    Samples near the calibration region count most, being the loudest.

    Args:
        held_back: parts of the samples, each left out in turn.
        on_call: called after each joint call of the network, or each reconstruction by a classical method.
    """
    kept = [without(prepared, part, plan) for part in held_back]
    images = _classical(kept, plan, on_call) if plan.is_classical else _restored(kept, prior, plan, on_call)
    errors = []
    for part, image in zip(held_back, images, strict=True):
        errors.append(missed(prepared, part, image))
    return float(torch.stack(errors).mean())


def missed(prepared: Prepared, part: Tensor, image: Tensor) -> Tensor:
    """|predicted - measured|^2 / |measured|^2 of a part of the samples, by an image (1, set, height, width)."""
    measured = part * prepared.kspace
    return (part * prepared.sense(image) - measured).abs().square().sum() / measured.abs().square().sum()


def _classical(kept: Sequence[Prepared], plan: Plan, on_call: Callable[[], None]) -> list[Tensor]:
    images = []
    for one in kept:
        images.append(reconstructed(plan.baseline, one))
        on_call()
    return images


def _restored(kept: Sequence[Prepared], prior: Prior, plan: Plan, on_call: Callable[[], None]) -> list[Tensor]:
    restored = restore_all([one.posed for one in kept], told(prior, kept[0]), plan.sampler, levels=plan.levels(prior),
                           samples=plan.samples, seeds=[plan.seed] * len(kept), batch_size=plan.batch_size,
                           on_step=lambda step, x: on_call())
    return [result.mean[None] for result in restored]
