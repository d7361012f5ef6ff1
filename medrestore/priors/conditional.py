"""Networks that are conditioned on a second image."""

from typing import Any

import torch
from torch import Tensor, nn


class Conditioned(nn.Module):
    """A network whose second image is fixed, given to it as further channels of its input.

    Args:
        net: takes both as channels of one input, the noisy image first, and a time.
        condition: the second image (batch, channels, height, width), of the size of the noisy one; axes of length 1 are
            repeated.
    """

    condition: Tensor

    def __init__(self, net: nn.Module, condition: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("condition", condition, persistent=False)

    def forward(self, x: Tensor, t: Tensor, **told: Tensor) -> Any:
        """The network's output for x (batch, channels, height, width) at the times t (batch,); `told` is passed on."""
        condition = self.condition.to(x.dtype).expand(len(x), -1, *x.shape[2:])
        return self.net(torch.cat([x, condition], 1), t, **told)
