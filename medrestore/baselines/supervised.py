"""Reconstruction by a network that was trained on pairs of undersampled data and images."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..extras import extra
from ..settings import Bounds, check
from .base import Baseline
from .zero_filled import ZeroFilled, brightness

HALVINGS = 4  # of MONAI's BasicUNet
Channels = Annotated[int, Bounds(at_least=1, at_most=512)]


@dataclass(eq=False, repr=False)
class Reconstructor(nn.Module, ABC):
    """A network from the samples of a slice to its image, in units in which the image is about 1; its fields are plain data.

    Attributes:
        kind: its name in configs and files.
    """

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        super().__init__()
        check(self)

    @property
    def arguments(self) -> dict[str, Any]:
        """What it was made with."""
        return asdict(self)

    @abstractmethod
    def forward(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        """The images (batch, 1, height, width) complex64 behind `kspace`.

        Args:
            kspace: (batch, coil, height, width) complex64, centred, zero where not sampled.
            maps: coil sensitivities shaped like `kspace`.
            mask: (batch, 1, height, width), 1 where sampled and 0 elsewhere.
        """


@dataclass(frozen=True, eq=False)
class Supervised(Baseline):
    """A trained network as a baseline.

    Data are divided by the 99 % quantile of the zero-filled magnitude, as in training, and the image is multiplied by it.

    Attributes:
        net: the network.
        card: a description of its training, stored beside the weights.
    """

    net: Reconstructor
    card: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Supervised({self.net.kind!r}, {self.net.arguments})"

    @torch.no_grad()
    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        scale = brightness(ZeroFilled().reconstruct(kspace, maps, mask))
        if scale == 0:
            return torch.zeros_like(kspace[:, :1], dtype=torch.complex64)
        device = next(self.net.parameters()).device
        sampled = mask.to(device, torch.float32).expand(1, 1, *kspace.shape[-2:])
        samples, maps = (x.to(device, torch.complex64) for x in (kspace / scale, maps))
        was_training = self.net.training
        self.net.eval()
        try:
            image = self.net(samples * sampled, maps, sampled) * scale
        finally:
            self.net.train(was_training)
        return image.to(kspace.device)


class Correction(nn.Module):
    """A U-Net's correction of complex images (n, 1, height, width), whose real and imaginary part are its channels.

    MONAI's `BasicUNet`: four halvings, instance normalisation, LeakyReLU. Images are divided by their root mean square and
    padded to a multiple of 16; the last layer begins at zero, so that a new network adds nothing.

    Args:
        channels: of the first level; the levels below have 1, 2, 4 and 8 times as many.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        with extra("baselines", "a supervised baseline"):
            from monai.networks.nets import BasicUNet

        self.unet = BasicUNet(2, 2, 2, tuple(channels * times for times in (1, 1, 2, 4, 8, 1)))
        nn.init.zeros_(self.unet.final_conv.weight)
        nn.init.zeros_(self.unet.final_conv.bias)

    def forward(self, image: Tensor) -> Tensor:
        power = torch.view_as_real(image).square().sum(-1).mean((1, 2, 3), keepdim=True)
        rms = power.clamp(min=1e-20).sqrt()
        x = torch.view_as_real(image / rms)[:, 0].permute(0, 3, 1, 2)
        height, width = image.shape[-2:]
        tall, wide = (_padding(size) for size in (height, width))
        x = self.unet(F.pad(x, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2)))
        x = x[..., tall // 2 : tall // 2 + height, wide // 2 : wide // 2 + width]
        return rms * torch.view_as_complex(x.permute(0, 2, 3, 1).contiguous())[:, None]


def _padding(size: int) -> int:
    """Pixels that are missing to a multiple of 16, and to 32: a single pixel in the deepest level cannot be normalised."""
    step = 2**HALVINGS
    return max(2 * step, -(-size // step) * step) - size


@contextmanager
def drawn_from(generator: torch.Generator) -> Iterator[None]:
    """Sets the CPU's global random state, which layers draw their weights from, to that of `generator` for the block."""
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        yield
