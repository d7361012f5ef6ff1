"""What an autoencoder learns from: the error of images and of their edges, and what a judge of patches says."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from .latent_config import AutoencoderLoss

SCALES = 3  # at which edges are compared: the image, its half and its quarter


def gradient_error(image: Tensor, other: Tensor) -> Tensor:
    """The mean |difference| of the differences of neighbouring pixels, over `SCALES` scales, a scalar.

    Args:
        image, other: (batch, channels, height, width), sides of at least 2 ** SCALES pixels.
    """
    error, total = image - other, image.new_zeros(())
    for scale in range(SCALES):
        if scale:
            error = functional.avg_pool2d(error, 2)
        total = total + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return total / SCALES


def reconstruction_error(made: Tensor, image: Tensor, weights: AutoencoderLoss) -> Tensor:
    """l1 |image - made| + squared (image - made)^2 + gradients `gradient_error`, the mean over a batch, a scalar."""
    error = weights.l1 * (made - image).abs().mean() + weights.squared * (made - image).square().mean()
    return error + weights.gradients * gradient_error(made, image) if weights.gradients else error


class Judge(nn.Module):
    """Tells patches of images from those of reconstructions: above 0 for images (Isola et al., CVPR 2017, sec. 3.2.2).

    Args:
        channels: of an image.
        width: channels of the first layer.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.GroupNorm(1, 2 * width), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 3, padding=1), nn.GroupNorm(1, 4 * width), nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(batch, 1, height / 4, width / 4): one number a patch."""
        return cast("Tensor", self.layers(image))

    def loss(self, image: Tensor, made: Tensor) -> Tensor:
        """The hinge loss of the judge, a scalar: images are to be above 1, reconstructions below -1."""
        real, false = self(image), self(made.detach())
        return (functional.relu(1 - real).mean() + functional.relu(1 + false).mean()) / 2

    def verdict(self, made: Tensor) -> Tensor:
        """What reconstructions are to lower, a scalar; its gradient reaches them and not the judge."""
        self.requires_grad_(False)
        verdict = -self(made).mean()
        self.requires_grad_(True)
        return verdict
