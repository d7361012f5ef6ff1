"""All that decides the image of a scan."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..levels import karras
from ..methods import HQS, Method
from ..priors import Prior


@dataclass(frozen=True)
class Undersampling:
    """Sampling done in software.

    Args:
        kind: one of `medrestore.mri.sampling.KINDS`.
        accel: asked acceleration.
        acs: calibration lines; None for the kind's own rule.
    """

    kind: str
    accel: float
    acs: int | None = None


@dataclass(frozen=True)
class Plan:
    """All that decides the image, but for the scan and the prior.

    Args:
        method: any whose needs the scan meets.
        steps, ladder: network calls, and the spacing of the noise levels (`medrestore.levels`).
        sigma_max: the level to begin at, image brightness being about 1: above it the calibration data decide.
        samples, seed: how many samples, and the first seed; slice i uses seed + 100000 i + sample.
        undersample: sampling done in software on top of the scan's own, or None.
        noise_std: std of every real number of the k-space noise; None takes it from the noise scan or the data.
        maps: a file of coil maps (slice, coil, h, w) in any k-space format, or None for ESPIRiT.
        start_sigma: begin part-way, from CG-SENSE, at this noise level in the prior's units; None begins at noise.
        spectral_gb: most memory for an exact form of the data step, GiB; beyond it conjugate gradients are used.
        batch_size: samples drawn together.
        together: slices whose network calls are made together; None: on a GPU as many as make up `batch_size` images with their
            samples, on a CPU one, where memory counts more than the time it gains. Fewer where their exact forms of the
            data step, held at once, would take more than `spectral_gb`.
    """

    method: Method = field(default_factory=HQS)
    steps: int = 50
    ladder: Callable[[int, float, float], list[float]] = karras
    sigma_max: float = 5.0
    samples: int = 1
    seed: int = 0
    undersample: Undersampling | None = None
    noise_std: float | None = None
    maps: Path | None = None
    start_sigma: float | None = None
    spectral_gb: float = 1.0
    batch_size: int = 8
    together: int | None = None


def plan_levels(plan: Plan, prior: Prior) -> list[float]:
    """The noise ladder of a plan over a prior's range."""
    low, high = prior.sigma_range
    return plan.ladder(plan.steps, min(high, plan.sigma_max), max(low, 1e-3))
