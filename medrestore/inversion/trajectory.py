"""The deterministic sampler as a differentiable map from noise to image."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..errors import InputError
from ..levels import check_levels
from ..operators.base import same
from ..operators.representation import ShortRepr
from ..priors import Prior

Gradient = Literal["full", "shortcut"]


@dataclass(frozen=True)
class Trajectory(ShortRepr):
    """x0 as a function of the initial noise: DDIM with eta = 0 (Song, Meng & Ermon, ICLR 2021) over few large steps.

    Args:
        prior: D.
        levels: noise levels, falling to 0; no time travel.
        gradient: "full" differentiates through the network, step by step from checkpoints, so that one call's
            activations are in memory at a time and each call is made twice. "shortcut" takes the network's noise estimate
            for a constant, as the published code of BIRD does (it calls the network without gradient): a different
            algorithm, in which the gradient by the noise is that by the last estimate times a number.
        clip: clean estimates are clipped to [-clip, clip] at every step, and the noise estimate recomputed, as in the
            published code; None leaves them.
        checkpointed: False keeps the activations of all calls, to compare with.
        constrain: exact constraints, for every clean estimate.
        start: (1 or sample, channel, height, width) to which the noise of the first level is added.

    Raises:
        InputError: the levels do not fall to 0.
    """

    prior: Prior
    levels: Sequence[float]
    gradient: Gradient = "full"
    clip: float | None = None
    checkpointed: bool = True
    constrain: Callable[[Tensor], Tensor] = same
    start: Tensor | float = 0.0

    def __post_init__(self) -> None:
        check_levels(self.levels)
        if any(sigma_next > sigma for sigma, sigma_next in pairwise(self.levels)):
            raise InputError("a trajectory that is inverted has falling noise levels, and these rise (time travel); "
                             "take a ladder of medrestore.levels as it is")

    def __call__(self, noise: Tensor) -> Tensor:
        """The image (sample, channel, height, width) at the end of the trajectory of white noise of that shape."""
        x = self.start + self.levels[0] * noise
        for sigma, sigma_next in pairwise(self.levels):
            if self.gradient == "full" and self.checkpointed and torch.is_grad_enabled():
                x = checkpoint(self._step, x, sigma, sigma_next, use_reentrant=False, preserve_rng_state=False)
            else:
                x = self._step(x, sigma, sigma_next)
        return x

    def _step(self, x: Tensor, sigma: float, sigma_next: float) -> Tensor:
        """x at the next level."""
        if self.gradient == "full":
            x0 = self.prior(x, sigma)
        else:
            with torch.no_grad():
                noise = x - self.prior(x, sigma)
            x0 = x - noise
        if self.clip is not None:
            x0 = x0.clamp(-self.clip, self.clip)
        x0 = self.constrain(x0)
        return x0 + sigma_next / sigma * (x - x0)


def on_sphere(noise: Tensor) -> Tensor:
    """Each sample scaled to the norm sqrt(D), D its count of numbers, about which white noise concentrates."""
    flat = noise.flatten(1)
    scale = math.sqrt(flat.shape[1]) / torch.linalg.vector_norm(flat, dim=1)
    return noise * scale.reshape(-1, *(1,) * (noise.ndim - 1))
