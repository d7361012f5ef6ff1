"""DDRM whose denoiser is a latent super-resolution model: the two variants of the seed study, as experiments."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..priors import Prior, WrappedPrior
from ..priors.latent import LatentPrior
from .ddrm import DDRM


class Refined(WrappedPrior):
    """A denoiser of pixels: the noisy image is encoded, refined as a code, and decoded.

    The autoencoder has seen clean images alone, so it is given the noisy one as small as a variance-preserving process has it,
    x / sqrt(1 + sigma^2), and its code is taken as z0 / sqrt(1 + sigma^2) plus noise of that process.

    Args:
        prior: of the codes, given the coarse image.
        decoded_noise: whether the noise that the prior finds in the code is decoded and taken from the image, instead of the
            refined code.
    """

    def __init__(self, prior: LatentPrior, *, decoded_noise: bool = False) -> None:
        super().__init__(prior)
        self.space, self.decoded_noise = prior.space, decoded_noise
        self.channels, self.multiple = prior.space.channels, prior.multiple * prior.space.factor
        self.size = None

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        small = (1 + sigma**2) ** 0.5
        z = self.space.encode(x / small) * small
        z0 = self.prior(z, sigma)
        if self.decoded_noise:
            return x - sigma * self.space.decode((z - z0) / sigma)
        return self.space.decode(z0)


@dataclass(frozen=True)
class DDRMSRLDM(DDRM):
    """DDRM whose estimate is refined by a latent super-resolution model at every step (the seed's DDRM-SRLDM).

    The noise of a step is the difference between the noisy image and the decoded refined code, as `DDRM` has it. An
    experiment and no recommendation: encoding a noisy image is outside what an autoencoder was trained for (docs/latent.md).
    """

    given = True
    decoded_noise: ClassVar[bool] = False

    def denoiser(self, prior: LatentPrior) -> Prior:
        """The denoiser of pixels that a prior of codes becomes."""
        return Refined(prior, decoded_noise=self.decoded_noise)


@dataclass(frozen=True)
class DecodedDDRMSRLDM(DDRMSRLDM):
    """The seed's other variant of DDRM-SRLDM, which fails there as here: the noise that the model finds in the code is decoded
    and taken for the noise of the image, though a decoder makes images of codes, and no noise of noise.
    """

    decoded_noise = True
