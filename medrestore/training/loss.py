"""The denoising loss: weight(sigma) * |D(x0 + sigma n) - x0|^2, whatever the network predicts.

D is `Parametrisation.estimate`, so targets differ only in the weight that turns the error of x0 into the
error of what is predicted.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import InputError
from ..priors.parametrisations import (
    EDM,
    Epsilon,
    Network,
    Parametrisation,
    Sample,
    VarianceExploding,
    VariancePreserving,
    Velocity,
    linear_betas,
)
from .config import Objective

Weight = Callable[[Tensor], Tensor]  # sigma (batch,) -> weight (batch,)
Draw = Callable[
    [int, torch.Generator], Tensor
]  # (batch, generator) -> sigma (batch,), on the generator's device


def denoising_loss(
    net: Network, target: Parametrisation, x0: Tensor, sigma: Tensor, noise: Tensor, weight: Weight
) -> Tensor:
    """The mean over a batch of weight(sigma) |D(x0 + sigma n) - x0|^2, a scalar.

    Args:
        x0, noise: (batch, channels, height, width).
        sigma: (batch,) std of the noise.
    """
    estimate = target.estimate(net, x0 + sigma.reshape(-1, 1, 1, 1) * noise, sigma)
    return (weight(sigma).reshape(-1, 1, 1, 1) * (estimate - x0) ** 2).mean()


def simple_weight(target: Parametrisation) -> Weight:
    """The weight that makes the loss the plain mean squared error of what the network predicts.

    With x = x0 + s n and D the estimate of x0, the error of the prediction is the error of D times

    - EDM, D = c_skip x + c_out F: 1 / c_out = sqrt(s^2 + sigma_data^2) / (s sigma_data) (Karras et al.,
    NeurIPS 2022, eq. 8);
    - noise, D = x - s e: 1 / s (Ho, Jain & Abbeel, NeurIPS 2020, eq. 14);
    - velocity, D = x / (1 + s^2) - s / sqrt(1 + s^2) v: sqrt(1 + s^2) / s (Salimans & Ho, ICLR 2022);
    - x0 itself: 1;
    - score, D = x + s^2 S, its error times s: 1 / s (Song et al., ICLR 2021, eq. 7, lambda = s^2).
    """
    match target:
        case EDM(sigma_data=data):
            return edm_weight(data)
        case Epsilon() | VarianceExploding():
            return lambda sigma: sigma**-2
        case Velocity():
            return lambda sigma: 1 + sigma**-2
        case Sample():
            return torch.ones_like
    raise InputError(f"no simple weighting is known for {type(target).__name__}; take min_snr or edm")


def edm_weight(sigma_data: float) -> Weight:
    """(s^2 + sigma_data^2) / (s sigma_data)^2: equal losses at the start (Karras et al., 2022, table 1)."""
    return lambda sigma: (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def min_snr_weight(gamma: float = 5.0) -> Weight:
    """min(SNR, gamma) on the error of x0, with SNR = 1 / s^2 (Hang et al., ICCV 2023, section 3.4).

    On the error of the noise this is min(SNR, gamma) / SNR, on that of the velocity min(SNR, gamma) / (SNR +
    1).
    """
    return lambda sigma: (sigma**-2).clamp(max=gamma)


def weighting(objective: Objective, target: Parametrisation) -> Weight:
    """The weight an objective asks for."""
    if objective.weighting == "min_snr":
        return min_snr_weight(objective.gamma)
    if objective.weighting == "simple":
        return simple_weight(target)
    return edm_weight(
        target.sigma_data if isinstance(target, EDM) else objective.sigma_data
    )  # a parent has its own


def target_of(objective: Objective) -> Parametrisation:
    """What the network of an objective predicts."""
    if objective.kind in (None, "edm"):
        return EDM(objective.sigma_data, objective.time_scale, objective.sigmas)
    betas = linear_betas(objective.betas.start, objective.betas.end, objective.betas.steps)
    kinds: dict[str | None, Callable[[tuple[float, ...]], Parametrisation]] = {
        "epsilon": Epsilon,
        "velocity": Velocity,
        "sample": Sample,
    }
    return kinds[objective.kind](betas)


def noise_levels(objective: Objective, target: Parametrisation) -> Draw:
    """How the noise levels of a batch are drawn, always within `target.sigma_range`."""
    noise, (low, high) = objective.noise, target.sigma_range
    kind = noise.kind or {EDM: "log_normal", VarianceExploding: "log_uniform"}.get(type(target), "schedule")
    if kind == "schedule" and not isinstance(target, VariancePreserving):
        raise InputError(
            "objective.noise.kind is schedule, and this target has no timesteps; "
            "take log_normal or log_uniform"
        )

    def log_normal(batch: int, generator: torch.Generator) -> Tensor:
        normal = torch.randn(batch, generator=generator, device=generator.device)
        return (noise.mean + noise.std * normal).exp().clamp(low, high)

    def log_uniform(batch: int, generator: torch.Generator) -> Tensor:
        share = torch.rand(batch, generator=generator, device=generator.device)
        return (math.log(low) + share * math.log(high / low)).exp()

    def schedule(batch: int, generator: torch.Generator) -> Tensor:
        steps = torch.randint(len(ladder), (batch,), generator=generator, device=generator.device)
        if generator.device not in placed:  # copied once
            placed[generator.device] = ladder.to(generator.device)
        return placed[generator.device][steps]

    ladder = schedule_sigmas(target) if isinstance(target, VariancePreserving) else torch.empty(0, device="cpu")
    placed: dict[torch.device, Tensor] = {}
    return {"log_normal": log_normal, "log_uniform": log_uniform, "schedule": schedule}[kind]


def schedule_sigmas(target: VariancePreserving) -> Tensor:
    """The noise level of every timestep, (steps,), rising: sigma^2 = (1 - abar) / abar."""
    abar = torch.cumprod(1 - torch.tensor(target.betas, dtype=torch.float64, device="cpu"), 0)
    return (1 / abar - 1).sqrt().float()
