"""A network's output for fixed noise, in a few numbers: the same weights in the same architecture give it again."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .classifier import NetworkClassifier
from .conditional import Conditioned
from .network import NetworkPrior

PLACES = 8  # single values that are recorded, evenly spread
SMALLEST = 32  # pixels a side, at least
TOLERANCE = 1e-3  # of the std of the output: float32 sums in another order stay below 1e-5


def not_finite(state: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with NaN or infinity in it; None where there is none."""
    return next((key for key, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())), None)


def answer(prior: NetworkPrior | NetworkClassifier, *, condition_channels: int = 0) -> dict[str, Any]:
    """Statistics of the answer at one noise level, to noise from a seeded generator on the CPU.

    Args:
        condition_channels: of a second image that the network is conditioned on; noise as well.

    Returns:
        size, sigma, and mean, std and single values of the estimate, or of the log-probabilities of a classifier.
    """
    side = -(-SMALLEST // prior.multiple) * prior.multiple
    height, width = prior.size or (side, side)
    low, high = prior.sigma_range
    sigma = min(max(1.0, low), high)
    generator = torch.Generator().manual_seed(0)
    x = (1 + sigma**2) ** 0.5 * torch.randn(1, prior.channels, height, width, generator=generator)
    condition = torch.randn(1, condition_channels, height, width, generator=generator)
    with torch.inference_mode():
        estimate = _conditioned(prior, condition)(x, sigma).double().flatten()
    at = torch.linspace(0, len(estimate) - 1, PLACES).long()
    return {"size": [height, width], "sigma": sigma, "mean": float(estimate.mean()), "std": float(estimate.std()),
            "values": [round(float(value), 6) for value in estimate[at]]}


def _conditioned(prior: NetworkPrior | NetworkClassifier, condition: Tensor) -> NetworkPrior | NetworkClassifier:
    """The same conditioned on this image, where it has channels."""
    if condition.shape[1] == 0 or isinstance(prior, NetworkClassifier):
        return prior
    return NetworkPrior(Conditioned(prior.net, condition), prior.parametrisation, channels=prior.channels)


def agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two outputs are of the same network, up to rounding."""
    scale = TOLERANCE * max(one["std"], 1e-6)
    pairs = [(one["mean"], other["mean"]), (one["std"], other["std"]), *zip(one["values"], other["values"], strict=True)]
    return one["size"] == other["size"] and all(math.isclose(a, b, rel_tol=0, abs_tol=scale) for a, b in pairs)
