"""Halving and doubling of images by the filter (1, 3, 3, 1) along both axes, as NCSN++ resamples: zero beyond the edges.

The filter's numbers are those of the host. diffusers' own functions copy the filter to the device at every call, and wait for it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def halved(x: Tensor) -> Tensor:
    """An image (batch, channels, height, width) of half the height and width."""
    x = functional.pad(x, (1, 1, 1, 1))
    height, width = (side - 3 for side in x.shape[-2:])
    x = _binomial_mean(*(x[..., i : i + height : 2, :] for i in range(4)))
    return _binomial_mean(*(x[..., i : i + width : 2] for i in range(4)))


def doubled(x: Tensor) -> Tensor:
    """An image (batch, channels, height, width) of twice the height and width."""
    return _doubled(_doubled(x.transpose(-2, -1)).transpose(-2, -1))


class Halved(nn.Module):
    """A 3 x 3 convolution of the filtered image, at every second pixel.

    Args:
        inside, out: channels.
    """

    def __init__(self, inside: int, out: int) -> None:
        super().__init__()
        self.Conv2d_0 = nn.Conv2d(inside, out, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, out, height / 2, width / 2) of an image (batch, inside, height, width)."""
        height, width = (side + 1 for side in x.shape[-2:])
        x = functional.pad(x, (2, 2, 2, 2))
        x = _binomial_mean(*(x[..., i : i + height, :] for i in range(4)))
        x = _binomial_mean(*(x[..., i : i + width] for i in range(4)))
        return functional.conv2d(x, self.Conv2d_0.weight, self.Conv2d_0.bias, stride=2)


def _binomial_mean(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    return (a + 3 * (b + c) + d) / 8


def _doubled(x: Tensor) -> Tensor:
    """Twice as wide: of each value (the one before + 3 of its own) / 4, and (3 of its own + the one after) / 4."""
    before, after = functional.pad(x, (1, 0))[..., :-1], functional.pad(x, (0, 1))[..., 1:]
    return torch.stack([(before + 3 * x) / 4, (3 * x + after) / 4], -1).flatten(-2)
