"""The thermal noise of a slice: its coils made independent, and its level."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..io import Scan
from ..mri import NoiseEstimate, noise_covariance, noise_std, prewhiten, whitening
from .plan import Plan


@dataclass(frozen=True)
class Whitened:
    """A slice whose coils have independent noise, where a noise scan tells how to make it so; else as it was.

    Attributes:
        kspace: (1, coil, h, w).
        maps: given coil maps, shaped like it, mixed alike; None without.
        calibration: separate calibration lines, mixed alike; None without.
        unmix: (coil, coil) complex64, from these coils back to those that were measured.
        sigma: std of every real number of the noise; None without a noise scan.
    """

    kspace: Tensor
    maps: Tensor | None
    calibration: Tensor | None
    unmix: Tensor
    sigma: float | None

    @classmethod
    def of(cls, scan: Scan, kspace: Tensor, maps: Tensor | None, calibration: Tensor | None) -> "Whitened":
        """Whitened by the noise scan of `scan`.

        Raises:
            InputError: a noise scan that is too short, or in which two coils are one.
        """
        if scan.noise is None:
            return cls(kspace, maps, calibration, torch.eye(kspace.shape[1], dtype=torch.complex64), None)
        covariance = noise_covariance(scan.noise)
        W = whitening(covariance)
        maps, calibration = (None if each is None else prewhiten(each, W) for each in (maps, calibration))
        unmix = torch.linalg.inv(W).to(torch.complex64)
        return cls(prewhiten(kspace, W), maps, calibration, unmix, noise_std(covariance))

    def gain(self, maps: Tensor) -> Tensor:
        """(set, 1, h, w): root-sum-of-squares of whitened coil maps in the coils that were measured."""
        return torch.einsum("cv,svhw->schw", self.unmix, maps).abs().square().sum(1, keepdim=True).sqrt()

    def noise_level(self, plan: Plan, estimate: Callable[[], NoiseEstimate]) -> tuple[float, str]:
        """The std of every real number of the noise, and where it comes from in words.

        Args:
            estimate: from the slice, where neither the plan nor a noise scan tells.
        """
        if plan.noise_std is not None:
            return plan.noise_std, "given"
        if self.sigma is not None:
            return self.sigma, "the noise scan"
        estimated = estimate()
        return estimated.std, estimated.source
