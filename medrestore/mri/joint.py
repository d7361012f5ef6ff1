"""Coil maps estimated together with the image."""

import torch
from torch import Tensor

from ..errors import InputError
from ..operators import EncodedMaps, LinearOperator, NonCartesianSense, Sense, SingleCoil, SmoothMaps
from ..solvers import cg

ORDERS = 16  # coefficients of the maps along an axis
SMOOTHNESS, FALL, POWER = 1e-4, 0.05, 4  # penalty on a coefficient k: SMOOTHNESS (1 + FALL |k|^2)^POWER
IMAGE_WEIGHT = 1e-3  # of the image's energy, against noise that the coils amplify
ALTERNATIONS, STEPS, FIRST_STEPS = 16, 10, 30  # and conjugate-gradient steps of each part


def joint_maps(kspace: Tensor, mask: Tensor, maps: Tensor, *, trajectory: Tensor | None = None,
               alternations: int = ALTERNATIONS) -> Tensor:
    """Coil maps that explain all samples, not the calibration lines alone: image and maps in turn by least squares.

    JSENSE (Ying & Sheng, MRM 57:1196, 2007) with the smoothness of the maps as in NLINV (Uecker et al., MRM 60:674, 2008): they
    have few Fourier coefficients over a field twice as large, the higher ones penalised. Worth it where calibration lines are
    few; the support is lost, as that of few lines cuts off parts of the object.

    Args:
        kspace: (1, coil, height, width), zero where not sampled, or (1, coil, readout, sample) along a trajectory.
        mask: (1, width) or (height, width), 0 or 1; (readout, sample) along a trajectory.
        maps: (1, coil, height, width) to begin with, such as those of ESPIRiT.
        trajectory: (readout, sample, 2) in cycles per field of view; None for a Cartesian scan.
        alternations: image and maps are solved for so many times.

    Returns:
        (1, coil, height, width) of unit root-sum-of-squares everywhere.

    Raises:
        InputError: a single coil, whose map the image takes up, or k-space without signal.
    """
    if kspace.shape[1] < 2:
        raise InputError("coil maps are estimated together with the image from two or more coils, and the scan has one; "
                         "leave out `refine_maps`")
    if not bool((mask * kspace).any()):
        raise InputError("no sample of the k-space holds signal, so no coil map can be estimated")
    height, width = maps.shape[-2:]
    smooth = SmoothMaps((height, width), min(ORDERS, height, width), kspace.device)
    penalty = _penalty(smooth.width, kspace.device)
    y = mask * kspace
    inside = (maps.abs().sum(1, keepdim=True) > 0).to(maps.real.dtype)

    def fitted(c: Tensor) -> Tensor:
        return smooth.adjoint(inside * smooth(c)) + penalty * c

    coefficients = cg(fitted, smooth.adjoint(inside * maps), max_steps=FIRST_STEPS, rtol=1e-4)
    image = torch.zeros_like(maps[:, :1])
    single = SingleCoil(mask) if trajectory is None else _encoding(torch.ones_like(image), mask, trajectory)
    for _ in range(alternations):
        image = _image(_encoding(smooth(coefficients), mask, trajectory), y, image)
        coefficients = _coefficients(smooth, penalty, image, single, y, coefficients)
    return _of_unit_norm(smooth(coefficients))


def _encoding(maps: Tensor, mask: Tensor, trajectory: Tensor | None) -> Sense | NonCartesianSense:
    return Sense(maps, mask) if trajectory is None else NonCartesianSense(maps, trajectory, mask)


def _penalty(orders: int, device: torch.device) -> Tensor:
    """(n, n): how much less than the lowest each coefficient is expected to be."""
    along = (torch.arange(orders, device=device) - orders // 2).float()
    return SMOOTHNESS * (1 + FALL * (along[:, None] ** 2 + along**2)) ** POWER


def _image(sense: Sense | NonCartesianSense, y: Tensor, image: Tensor) -> Tensor:
    """The image for given maps."""

    def normal(x: Tensor) -> Tensor:
        return sense.normal(x) + IMAGE_WEIGHT * x

    return image + cg(normal, sense.adjoint(y) - normal(image), max_steps=STEPS, rtol=1e-4)


def _coefficients(smooth: SmoothMaps, penalty: Tensor, image: Tensor, single: LinearOperator, y: Tensor,
                  before: Tensor) -> Tensor:
    """Those of the maps for a given image, which is scaled to a largest magnitude of 1 so that the penalty has a meaning."""
    scale = image.abs().max()
    encode = EncodedMaps(smooth, image / scale, single)

    def normal(c: Tensor) -> Tensor:
        return encode.normal(c) + penalty * c

    return before + cg(normal, encode.adjoint(y / scale) - normal(before), max_steps=STEPS, rtol=1e-4)


def _of_unit_norm(maps: Tensor) -> Tensor:
    norm = maps.abs().square().sum(1, keepdim=True).sqrt()
    return torch.where(norm > 0, maps / norm.where(norm > 0, 1.0), 0.0)
