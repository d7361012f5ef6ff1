"""What a network was trained to predict, and E[x0 | x] from it, in `x = x0 + sigma n`."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ..errors import InputError

Network = Callable[[Tensor, Tensor], Tensor]  # (input (b, c, h, w), time (b,)) -> output (b, c or 2c, h, w)


def linear_betas(start: float = 1e-4, end: float = 0.02, steps: int = 1000) -> tuple[float, ...]:
    """The linear schedule of DDPM (Ho, Jain & Abbeel, NeurIPS 2020)."""
    return tuple(start + (end - start) * i / (steps - 1) for i in range(steps))


def scaled_linear_betas(start: float, end: float, steps: int = 1000) -> tuple[float, ...]:
    """Linear in the square root of beta, the schedule of latent diffusion (Rombach et al., CVPR 2022)."""
    return tuple(b * b for b in linear_betas(start**0.5, end**0.5, steps))


def cosine_betas(steps: int = 1000) -> tuple[float, ...]:
    """The squared-cosine schedule (Nichol & Dhariwal, ICML 2021, eq. 17), betas at most 0.999."""

    def abar(step: int) -> float:
        return math.cos((step / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    return tuple(min(1 - abar(step + 1) / abar(step), 0.999) for step in range(steps))


def check_training_range(kind: str, sigmas: Sequence[float]) -> None:
    """Refuses a range of noise levels that is not two positive numbers, rising.

    Raises:
        InputError: names the parametrisation.
    """
    if len(sigmas) != 2 or not 0 < sigmas[0] < sigmas[1] < math.inf:
        raise InputError(f"{kind}: sigmas must be the lowest and the highest noise level of training, positive and rising, "
                         f"got {sigmas!r}")


def check_betas(betas: Sequence[float]) -> None:
    """Refuses what is no schedule of betas, the share of the variance that is noise anew at each training step.

    Raises:
        InputError: fewer than 2, numbers outside (0, 1), or alphas_cumprod in their place.
    """
    if len(betas) < 2:
        raise InputError(f"betas must be those of all training steps, 2 or more, got {len(betas)}")
    if not all(0 < beta < 1 for beta in betas):
        wrong = next(beta for beta in betas if not 0 < beta < 1)
        raise InputError(f"betas must lie between 0 and 1, got {wrong:g}")
    if betas[0] > 0.5 and betas[-1] < betas[0]:
        raise InputError(f"betas fall from {betas[0]:.4g} to {betas[-1]:.4g}: these look like alphas_cumprod; "
                         "give betas, which are 1 - alphas_cumprod[t] / alphas_cumprod[t - 1]")
    if not math.prod(1 - beta for beta in betas) > 0:
        raise InputError(f"{len(betas)} betas up to {max(betas):.4g} leave nothing of the image at the last step; "
                         "give those that the network was trained with")


@dataclass(frozen=True)
class Parametrisation(ABC):
    """What a network was trained to predict, and on which inputs."""

    @abstractmethod
    def inputs(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """What the network takes for `x` at the levels `sigma` (batch,): its input, shaped like `x`, and its time (batch,)."""

    @abstractmethod
    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x], with `sigma` (batch,) the noise std of each sample."""

    @property
    @abstractmethod
    def sigma_range(self) -> tuple[float, float]:
        """(lowest, highest) noise level of training, std."""


@dataclass(frozen=True)
class EDM(Parametrisation):
    """Preconditioned denoiser: Karras et al., NeurIPS 2022, table 1.

    Args:
        sigma_data: std of the training images.
        time_scale: the network's time input is `time_scale * log(sigma)`; 1/4 in the paper. Networks whose time
            embedding expects 0..1000 want about 60.
        sigmas: lowest and highest noise level of training.
    """

    sigma_data: float = 0.5
    time_scale: float = 0.25
    sigmas: tuple[float, float] = (0.002, 80.0)

    def __post_init__(self) -> None:
        if not 0 < self.sigma_data < math.inf:
            raise InputError(f"EDM: sigma_data is the std of the training images and must be above 0, got {self.sigma_data!r}")
        if not (math.isfinite(self.time_scale) and self.time_scale != 0):
            raise InputError(f"EDM: time_scale must be a number other than 0, got {self.time_scale!r}")
        check_training_range("EDM", self.sigmas)

    def inputs(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return x / (sigma.reshape(-1, 1, 1, 1) ** 2 + self.sigma_data**2).sqrt(), self.time_scale * sigma.log()

    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.reshape(-1, 1, 1, 1)
        total = (s**2 + self.sigma_data**2).sqrt()
        out = net(*self.inputs(x, sigma))[:, : x.shape[1]]
        return (self.sigma_data / total) ** 2 * x + s * self.sigma_data / total * out

    @property
    def sigma_range(self) -> tuple[float, float]:
        return self.sigmas


@dataclass(frozen=True)
class VariancePreserving(Parametrisation):
    """Networks whose input is `sqrt(abar) x0 + sqrt(1 - abar) n = x / sqrt(1 + sigma^2)`, and a timestep.

    The timestep of a noise level is interpolated in log sigma, so that any levels may be sampled; published code
    rounds to the nearest integer step.

    Args:
        betas: of all training steps, in order; by default the linear schedule of DDPM.

    Raises:
        InputError: no such schedule, see `check_betas`.
    """

    betas: Sequence[float] = field(default_factory=linear_betas)

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(float(beta) for beta in self.betas))
        check_betas(self.betas)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(betas={len(self.betas)} from {self.betas[0]:g} to {self.betas[-1]:g})"

    @cached_property
    def _log_sigmas(self) -> Tensor:
        abar = torch.cumprod(1 - torch.tensor(self.betas, dtype=torch.float64, device="cpu"), 0)
        return (0.5 * (1 / abar - 1).log()).float()

    @cached_property
    def _grids(self) -> dict[torch.device, Tensor]:
        """`_log_sigmas` on the devices where it was asked for."""
        return {}

    def timestep(self, sigma: Tensor) -> Tensor:
        """The (fractional) training step whose noise level is `sigma`."""
        if sigma.device not in self._grids:  # copied once
            self._grids[sigma.device] = self._log_sigmas.to(sigma.device)
        grid = self._grids[sigma.device]
        at = sigma.log().clamp(grid[0], grid[-1])
        i = torch.searchsorted(grid, at).clamp(1, len(grid) - 1)
        return i - 1 + (at - grid[i - 1]) / (grid[i] - grid[i - 1])

    def inputs(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2).sqrt(), self.timestep(sigma)

    def _output(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return net(*self.inputs(x, sigma))[:, : x.shape[1]]  # a learned variance is cut off

    @property
    def sigma_range(self) -> tuple[float, float]:
        return math.exp(self._log_sigmas[0]), math.exp(self._log_sigmas[-1])


class Epsilon(VariancePreserving):
    """The network predicts the noise (Ho et al. 2020)."""

    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x - sigma.reshape(-1, 1, 1, 1) * self._output(net, x, sigma)


class Velocity(VariancePreserving):
    """The network predicts v = sqrt(abar) n - sqrt(1 - abar) x0 (Salimans & Ho, ICLR 2022, app. D)."""

    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.reshape(-1, 1, 1, 1)
        return x / (1 + s**2) - s / (1 + s**2).sqrt() * self._output(net, x, sigma)


class Sample(VariancePreserving):
    """The network predicts x0 itself."""

    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return self._output(net, x, sigma)


@dataclass(frozen=True)
class VarianceExploding(Parametrisation):
    """The network takes x = x0 + sigma n and sigma itself, and estimates the score of x (Song et al., ICLR 2021).

    E[x0 | x] = x + sigma^2 score (Tweedie).

    Args:
        sigmas: lowest and highest noise level of training.
    """

    sigmas: tuple[float, float] = (0.01, 378.0)

    def __post_init__(self) -> None:
        check_training_range("VarianceExploding", self.sigmas)

    def inputs(self, x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return x, sigma

    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x + sigma.reshape(-1, 1, 1, 1) ** 2 * net(x, sigma)[:, : x.shape[1]]

    @property
    def sigma_range(self) -> tuple[float, float]:
        return self.sigmas
