"""Priors that are networks."""


import torch
from torch import Tensor

from ..codecs import Recipe
from .base import Prior
from .parametrisations import Parametrisation

AT_ONCE = 2**17  # pixels that a network sees at once on a CPU; more leave its cache, and take longer each than fewer do


class NetworkPrior(Prior):
    """A trained network as a prior, at any size that is a multiple of `multiple`.

    Args:
        net: `(input (b, c, h, w), time (b,)) -> output`; output channels beyond c are cut off. Its parameters decide
            the device.
        parametrisation: what the network predicts.
        channels: c.
        multiple: height and width must be multiples of this (2 to the number of downsamplings).
        size: the only (height, width) it accepts, or None.
        recipe: how images become its coordinates.
        bf16: run the network in bfloat16; the state and the estimate stay float32.
        class_label: the class that a class-conditional network is told, None for others.
    """

    def __init__(self, net: torch.nn.Module, parametrisation: Parametrisation, *, channels: int, multiple: int = 1,
                 size: tuple[int, int] | None = None, recipe: Recipe | None = None, bf16: bool = False,
                 class_label: int | None = None) -> None:
        self.net = net.eval()
        self.parametrisation = parametrisation
        self.channels, self.multiple, self.size = channels, multiple, size
        self.recipe, self.bf16, self.class_label = recipe, bf16, class_label
        self.sigma_range = parametrisation.sigma_range

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        level = torch.full((len(x),), float(sigma), device=x.device)
        return self.parametrisation.estimate(self._forward, x, level)

    def _forward(self, x: Tensor, t: Tensor) -> Tensor:
        images = len(x)
        if x.device.type == "cpu":
            images = max(1, AT_ONCE // (x.shape[-2] * x.shape[-1]))
        return torch.cat([self._called(*some) for some in zip(x.split(images), t.split(images), strict=True)])

    def _called(self, x: Tensor, t: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
            out = self.net(x, t, **self._told(x))
        return getattr(out, "sample", out).float()

    def _told(self, x: Tensor) -> dict[str, Tensor]:
        """The class of every image, where the network asks for one."""
        if self.class_label is None:
            return {}
        return {"class_labels": torch.full((len(x),), self.class_label, device=x.device)}
