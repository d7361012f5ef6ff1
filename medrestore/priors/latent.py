"""Priors of codes, and priors that are given the coarse image: latent diffusion (Rombach et al., CVPR 2022) and SR3.

`SuperResolutionPrior` of codes is the latent super-resolution of that paper's section 4.4 (SRLDM); of pixels it is SR3
(Saharia et al., IEEE TPAMI 2023).
"""

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..codecs import Interval, Recipe
from ..conditions import UNTOLD, Conditions
from ..errors import InputError
from . import store
from .base import Prior, WrappedPrior
from .classes import Classes
from .conditional import Conditioned
from .guidance import pulled
from .network import NetworkPrior
from .parametrisations import Parametrisation
from .spaces import LatentSpace, autoencoder_of

AUTOENCODER = "vqvae"  # the folder of the autoencoder inside of a prior
LATENT = "latent"  # the entry of prior.json with the scale of the codes
LOW_RESOLUTION = "low_resolution"  # and the one that says how coarse images were made
SLACK = 0.05  # by which a coarse image may leave [-1, 1]


class LatentPrior(WrappedPrior):
    """A prior of codes, with the space that makes images of them.

    Args:
        prior: of the codes.
        space: of the codes.
    """

    def __init__(self, prior: Prior, space: LatentSpace) -> None:
        if prior.channels != space.code_channels:
            raise InputError(f"a prior of {prior.channels} channels and codes of {space.code_channels} do not belong together")
        super().__init__(prior)
        self.space, self.recipe, self.whole = space, space.recipe, True

    def watched(self, seen: Callable[[int], None]) -> "LatentPrior":
        return LatentPrior(self.prior.watched(seen), self.space)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.prior(x, sigma)


class SuperResolutionPrior(Prior):
    """A prior, of codes or of pixels, that is given the coarse image as further channels of its input.

    Called as it is, it is given none, which only a prior that was trained with coarse images left out can do.

    Args:
        net: takes the noisy image and the coarse one as channels of one input.
        parametrisation: what `net` predicts.
        channels: of what it is a prior of.
        condition_channels: of the coarse image.
        factor: how many pixels of the image became one of the coarse one, along each axis.
        multiple: height and width of what it is a prior of must be multiples of this.
        space: of the codes; None: it is a prior of pixels.
        recipe: how images become its coordinates.
        optional: whether it does without the coarse image.
        bf16: run `net` in bfloat16.
        classes, class_label: of `net`, as for `NetworkPrior`.
        conditions: what pulls it to the class.
    """

    def __init__(self, net: nn.Module, parametrisation: Parametrisation, *, channels: int, condition_channels: int, factor: int,
                 multiple: int, space: LatentSpace | None, recipe: Recipe | None, optional: bool = False,
                 bf16: bool = False, classes: Classes | None = None, class_label: int | None = None,
                 conditions: Conditions = UNTOLD) -> None:
        self.net, self.parametrisation = net.eval(), parametrisation
        self.channels, self.condition_channels, self.factor, self.multiple = channels, condition_channels, factor, multiple
        self.space, self.recipe, self.optional, self.bf16 = space, recipe, optional, bf16
        self.classes, self.class_label, self.conditions = classes, class_label, conditions
        self.sigma_range, self.whole = parametrisation.sigma_range, True
        self._seen: Callable[[int], None] | None = None

    def watched(self, seen: Callable[[int], None]) -> "SuperResolutionPrior":
        made = copy(self)
        made._seen = seen
        return made

    def given(self, small: Tensor) -> Prior:
        """The prior of the images, or of the codes of the images, whose coarse version is this.

        Args:
            small: (1, channels, height, width) in the coordinates of the prior's images, or as many as there will be samples.

        Raises:
            InputError: another number of channels, a size that does not divide, or values outside [-1, 1].
        """
        channels = self.condition_channels
        if small.ndim != 4 or small.shape[1] != channels:
            raise InputError(f"the coarse image has the shape {tuple(small.shape)}, and (1, {channels}, height, width) is "
                             "needed; repeat a grey channel to make colours of it")
        size = self.size_of_codes((small.shape[-2] * self.factor, small.shape[-1] * self.factor))
        low, high = float(small.min()), float(small.max())
        if channels != 2 and not (low >= -1 - SLACK and high <= 1 + SLACK):
            raise InputError(f"the coarse image has values from {low:g} to {high:g}, and the prior takes [-1, 1]; "
                             "scale or clamp it first")
        return self._prior(functional.interpolate(small.float(), size=size, mode="nearest"), size)

    def size_of_codes(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of what it is a prior of, for images of (height, width).

        Raises:
            InputError: a size that does not divide.
        """
        within, grain = (1 if self.space is None else self.space.factor), self.grain
        if any(side % grain or not side for side in size):
            raise InputError(f"an image of {size[0]} x {size[1]} pixels does not suit the prior, whose sides are multiples of "
                             f"{grain}; pad or crop it first")
        return size[0] // within, size[1] // within

    @property
    def grain(self) -> int:
        """Of what height and width of an image must be multiples."""
        return max(self.multiple * (1 if self.space is None else self.space.factor), self.factor)

    def _prior(self, condition: Tensor, size: tuple[int, int] | None) -> Prior:
        placed = condition.to(next(self.net.parameters()).device)
        prior = pulled(NetworkPrior(Conditioned(self.net, placed), self.parametrisation, channels=self.channels,
                                    multiple=self.multiple, size=size, recipe=self.recipe, bf16=self.bf16,
                                    classes=self.classes, class_label=self.class_label), self.conditions)
        prior = prior if self._seen is None else prior.watched(self._seen)
        return prior if self.space is None else LatentPrior(prior, self.space)

    @property
    def alone(self) -> Prior:
        """The prior that is given no coarse image.

        Raises:
            InputError: it was trained with coarse images alone.
        """
        if not self.optional:
            raise InputError("this prior restores from a coarse image, and was never trained without one; give it a problem, or "
                             "take another prior")
        return self._prior(torch.zeros(1, self.condition_channels, 1, 1, device="cpu"), None)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.alone(x, sigma)


def channels_of(prior: Prior) -> int:
    """Of the images that a prior restores, whether it is of them or of their codes."""
    space = prior.space if isinstance(prior, LatentPrior | SuperResolutionPrior) else None
    return prior.channels if space is None else space.channels


def is_latent(about: dict[str, Any]) -> bool:
    """Whether `prior.json` describes one of the priors of this module."""
    return bool(about.get("condition_channels") or about.get(LATENT))


def load(name: str | Path, conditions: Conditions = UNTOLD, *, device: torch.device | str = "cpu", bf16: bool = False,
         compiled: bool = False) -> LatentPrior | SuperResolutionPrior:
    """A prior of codes, or one that is given the coarse image, from its folder, checked as `store.load` does.

    Args:
        conditions: what is known of the image beside its data; there are no classifiers of codes.
        device: where the networks run.
        bf16: compute in bfloat16 inside the denoiser.
        compiled: as for `store.load`.

    Raises:
        InputError: it is none, or missing, truncated, altered or mismatching files, or conditions that do not suit it.
    """
    conditions.check_told()
    about = store.describe(name)
    if not is_latent(about):
        raise InputError(f"{store.find(name)} is a prior of images alone; load it by medrestore.priors.load")
    if conditions.classifier is not None:
        raise InputError(f"{store.find(name)} is a prior of codes or one that is given the coarse image, and no classifier knows "
                         "these; leave `classifier` out")
    prior = store.load(name, device=device, bf16=bf16, compiled=compiled, label=conditions.label, conditioned=True)
    space = _space(name, about, prior.recipe, device)
    if not (given := about.get("condition_channels")):
        assert space is not None
        return LatentPrior(pulled(prior, conditions), space)
    low = about.get(LOW_RESOLUTION) or {"factor": 1 if space is None else space.factor, "drop": 0}
    return SuperResolutionPrior(
        prior.net, prior.parametrisation, channels=prior.channels, condition_channels=int(given), factor=int(low["factor"]),
        multiple=prior.multiple, space=space, recipe=prior.recipe if space is None else space.recipe,
        optional=float(low["drop"]) > 0, bf16=bf16, classes=prior.classes, class_label=prior.class_label, conditions=conditions,
    )


def _space(name: str | Path, about: dict[str, Any], recipe: Recipe | None, device: torch.device | str) -> LatentSpace | None:
    """The space of a prior's codes: of one that was converted, the published one of pictures and of scale 1."""
    if not about.get("parts"):
        return None
    net = autoencoder_of(store.load_part(name, AUTOENCODER, device=device), store.find(name))
    return LatentSpace(net, float(about.get(LATENT, {"scale": 1.0})["scale"]), recipe or Interval())
