"""Latent super-resolution: a prior of an autoencoder's codes given the small image (Rombach et al., CVPR 2022, sec. 4.4)."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ..codecs import Codec
from ..errors import InputError
from . import store
from .architectures import configuration
from .autoencoder import VQModel
from .conditional import Conditioned
from .network import NetworkPrior
from .parametrisations import Parametrisation

AUTOENCODER = "vqvae"  # the folder of the autoencoder inside of a prior
SLACK = 1e-3  # by which a small image may leave [0, 1]


class LatentSuperResolution(Codec):
    """Large images in [0, 1] as codes, and the prior of the codes given the small image.

    The codes have the height and width of the small image, so the large one is `factor` times as large. The codec is not
    affine: operators between images become nonlinear between codes.

    Args:
        net: takes the noisy code and the small image in [-1, 1] as channels of one input.
        autoencoder: of images and codes.
        parametrisation: what `net` predicts.
        channels: of a code.
        multiple: height and width of a code must be multiples of this.
        bf16: run `net` in bfloat16.
    """

    def __init__(self, net: nn.Module, autoencoder: VQModel, parametrisation: Parametrisation, *, channels: int = 3,
                 multiple: int = 8, bf16: bool = False) -> None:
        self.net, self.parametrisation = net.eval(), parametrisation
        self.autoencoder = autoencoder.eval()
        self.channels, self.multiple, self.bf16 = channels, multiple, bf16
        self.factor = 2 ** (len(autoencoder.config["block_out_channels"]) - 1)

    def given(self, low_resolution: Tensor) -> NetworkPrior:
        """The prior of the codes of the large images whose small version is this.

        Args:
            low_resolution: (1, 3, height, width) in [0, 1], or as many as there will be samples.

        Raises:
            InputError: another number of channels, a size that does not divide, or values outside [0, 1].
        """
        wanted = configuration(self.net)["in_channels"] - self.channels
        if low_resolution.ndim != 4 or low_resolution.shape[1] != wanted:
            raise InputError(f"the small image has the shape {tuple(low_resolution.shape)}, and (1, {wanted}, height, width) is "
                             "needed; repeat a grey channel to make colours of it")
        height, width = low_resolution.shape[2:]
        if height % self.multiple or width % self.multiple or not height * width:
            raise InputError(f"the small image is {height} x {width}, and both must be multiples of {self.multiple}; "
                             "pad or crop it first")
        low, high = float(low_resolution.min()), float(low_resolution.max())
        if not (low >= -SLACK and high <= 1 + SLACK):
            raise InputError(f"the small image has values from {low:g} to {high:g}, and the prior takes [0, 1]; "
                             "scale or clamp it first")
        condition = (2 * low_resolution - 1).to(next(self.net.parameters()).device)
        return NetworkPrior(Conditioned(self.net, condition), self.parametrisation, channels=self.channels,
                            multiple=self.multiple, size=(height, width), bf16=self.bf16)

    def encode(self, image: Tensor) -> Tensor:
        """The code (batch, channels, height / factor, width / factor) of images (batch, 3, height, width), not quantised."""
        return self.autoencoder.encode(2 * image - 1)

    def decode(self, z: Tensor, *, quantise: bool = True) -> Tensor:
        """The images of codes, about in [0, 1].

        Args:
            quantise: take the nearest entries of the code book, as the published sampler does; gradients pass straight through.
        """
        return (self.autoencoder.decode(z, quantise=quantise) + 1) / 2


def load(name: str | Path, *, device: torch.device | str = "cpu", bf16: bool = False) -> LatentSuperResolution:
    """A latent super-resolution prior from its folder, checked as `store.load` does.

    Args:
        device: where the networks run.
        bf16: compute in bfloat16 inside the denoiser.

    Raises:
        InputError: it is none, or missing, truncated, altered or mismatching files.
    """
    about = store.describe(name)
    if not about.get("condition_channels"):
        raise InputError(f"{store.find(name)} is a prior of images without a small one; load it by medrestore.priors.load")
    prior = store.load(name, device=device, bf16=bf16, conditioned=True)
    autoencoder = store.load_part(name, AUTOENCODER, device=device)
    if not isinstance(autoencoder, VQModel):
        raise InputError(f"{store.find(name)} has a {type(autoencoder).__name__} in {AUTOENCODER}/, and the codes of a VQModel "
                         "are needed; convert the checkpoint again")
    return LatentSuperResolution(prior.net, autoencoder, prior.parametrisation, channels=prior.channels, multiple=prior.multiple,
                                 bf16=bf16)
