"""What a network was trained to predict, and how that becomes E[x0 | x] in `x = x0 + sigma n`."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

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


class Parametrisation(ABC):
    """What a network was trained to predict, and on which inputs."""

    @abstractmethod
    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        """E[x0 | x], with `sigma` (batch,) the noise std of each sample."""

    @property
    @abstractmethod
    def sigma_range(self) -> tuple[float, float]:
        """The noise levels, std, that training has covered."""


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

    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.reshape(-1, 1, 1, 1)
        total = (s**2 + self.sigma_data**2).sqrt()
        out = net(x / total, self.time_scale * sigma.log())[:, : x.shape[1]]
        return (self.sigma_data / total) ** 2 * x + s * self.sigma_data / total * out

    @property
    def sigma_range(self) -> tuple[float, float]:
        return self.sigmas


@dataclass(frozen=True)
class VariancePreserving(Parametrisation):
    """Networks that see `sqrt(abar) x0 + sqrt(1 - abar) n = x / sqrt(1 + sigma^2)` and a timestep.

    The timestep of a noise level is interpolated in log sigma, so that any ladder may be walked; published code
    rounds to the nearest integer step.
    """

    betas: Sequence[float] = linear_betas()

    @cached_property
    def _log_sigmas(self) -> Tensor:
        abar = torch.cumprod(1 - torch.tensor(self.betas, dtype=torch.float64), 0)
        return (0.5 * (1 / abar - 1).log()).float()

    def timestep(self, sigma: Tensor) -> Tensor:
        """The (fractional) training step whose noise level is `sigma`."""
        grid = self._log_sigmas.to(sigma.device)
        at = sigma.log().clamp(grid[0], grid[-1])
        i = torch.searchsorted(grid, at).clamp(1, len(grid) - 1)
        return i - 1 + (at - grid[i - 1]) / (grid[i] - grid[i - 1])

    def _output(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        s = sigma.reshape(-1, 1, 1, 1)
        return net(x / (1 + s**2).sqrt(), self.timestep(sigma))[:, : x.shape[1]]  # a learned variance is cut off

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
    """The network sees x = x0 + sigma n and sigma itself, and estimates the score of x (Song et al., ICLR 2021).

    E[x0 | x] = x + sigma^2 score (Tweedie).

    Args:
        sigmas: lowest and highest noise level of training.
    """

    sigmas: tuple[float, float] = (0.01, 378.0)

    def estimate(self, net: Network, x: Tensor, sigma: Tensor) -> Tensor:
        return x + sigma.reshape(-1, 1, 1, 1) ** 2 * net(x, sigma)[:, : x.shape[1]]

    @property
    def sigma_range(self) -> tuple[float, float]:
        return self.sigmas
