"""A network that is fitted to one image before it is used: low-rank additions to its convolutions."""

import math
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from ..errors import InputError
from .base import Prior, WrappedPrior
from .network import NetworkPrior

LOWEST, HIGHEST = 0.02, 1.0  # noise levels of the fit, for images of about unit brightness
CROP = 128  # pixels of a side at most that an update sees
BATCH = 2  # crops of an update


class LowRank(nn.Module):
    """A weight with an addition of low rank, W + B A: Hu et al., "LoRA", ICLR 2022, eq. 3. B is 0 at first.

    Args:
        weight: W (out, ...), of which A sees all axes but the first as one.
        rank: of the addition.
        generator: of A, normal with the variance of one over its columns.
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        inputs = math.prod(weight.shape[1:])
        start = torch.randn(rank, inputs, generator=generator) / math.sqrt(inputs)
        self.a = nn.Parameter(start.to(weight))
        self.b = nn.Parameter(weight.new_zeros(len(weight), rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.b @ self.a).reshape(weight.shape)


def adapted(prior: Prior, image: Tensor, *, rank: int = 16, updates: int = 40, rate: float = 2e-3, seed: int = 0,
            on_update: Callable[[], None] = lambda: None) -> Prior:
    """The prior, its convolutions fitted to denoise one image; the prior itself stays as it is.

    The image is a first restoration: a network that has seen nothing like it learns what it looks like. Fitting a denoiser to the
    image at hand is Tirer & Giryes, "Super-resolution via image-adapted denoising CNNs", IEEE Signal Processing Letters 26,
    2019; by additions of low rank, Barbano et al., "Steerable conditional diffusion", arXiv 2308.14409, there from the data
    and at every noise level. `updates` steps of Adam on |D(x + sigma n, sigma) - x|^2 / sigma^2, the noise levels log-uniform
    from 0.02 to 1, on crops of at most 128 x 128, every second mirrored.

    Args:
        prior: a network, or one that wraps a network.
        image: (n, channels, height, width) real, in the coordinates of the prior.
        rank: of the additions.
        updates: steps of Adam, of two crops each.
        rate: of learning.
        seed: of noise, crops and additions.
        on_update: called after each step.

    Raises:
        InputError: the prior is no network, or has no convolutions.
    """
    own = deepcopy(prior)
    inner: Prior = own
    while isinstance(inner, WrappedPrior):
        inner = inner.prior
    convolutions = [] if not isinstance(inner, NetworkPrior) else [
        module for module in inner.net.modules() if isinstance(module, nn.Conv2d)]
    if not isinstance(inner, NetworkPrior) or not convolutions:
        raise InputError(f"a {type(inner).__name__} has no convolutions that could be adapted; take a prior that is a network of "
                         "them, or leave `adapt` out")
    generator = torch.Generator().manual_seed(seed)
    inner.net.requires_grad_(False)
    additions = [LowRank(module.weight, rank, generator) for module in convolutions]
    for module, addition in zip(convolutions, additions, strict=True):
        parametrize.register_parametrization(module, "weight", addition)
    _fit(own, image, additions, updates, rate, generator, on_update)
    for module in convolutions:
        parametrize.remove_parametrizations(module, "weight")
        module.weight.requires_grad_(False)
    return own


def _fit(prior: Prior, image: Tensor, additions: list[LowRank], updates: int, rate: float, generator: torch.Generator,
         on_update: Callable[[], None]) -> None:
    height, width = image.shape[-2:]
    size = prior.size or tuple(min(CROP, side) // -prior.multiple * -prior.multiple for side in (height, width))
    image = functional.pad(image, (0, max(0, size[1] - width), 0, max(0, size[0] - height)))
    optimiser = torch.optim.Adam([part for addition in additions for part in addition.parameters()], lr=rate)
    low, high = max(LOWEST, prior.sigma_range[0]), min(HIGHEST, prior.sigma_range[1])
    for update in range(updates):
        crops = torch.cat([_crop(image, size, generator) for _ in range(BATCH)])
        if update % 2:
            crops = crops.flip(-1)
        sigma = low * (high / low) ** float(torch.rand((), generator=generator))
        noisy = crops + sigma * torch.randn(crops.shape, generator=generator).to(crops)
        with torch.enable_grad():
            loss = (prior(noisy, sigma) - crops).square().mean() / sigma**2
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        on_update()


def _crop(image: Tensor, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """(1, channels, *size): a random place of a random one of the images."""
    number = int(torch.randint(len(image), (), generator=generator))
    top, left = (int(torch.randint(side - part + 1, (), generator=generator))
                 for side, part in zip(image.shape[-2:], size, strict=True))
    return image[number:number + 1, :, top:top + size[0], left:left + size[1]]
