"""From images in physical units to the coordinates in which a prior was trained, and back.

Methods never rescale: `Problem.encoded(codec)` folds the codec into the operator and the data, once. An affine codec,
image = scale L z + offset, keeps every capability of the operator; another keeps only that it is differentiable.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .operators import Chroma, Crop, Grayscale, Identity, Isometry, LinearOperator


class Codec(ABC):
    """Images to codes z of a prior, and back."""

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """z of an image."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """The image of z."""


class AffineCodec(Codec):
    """image = scale L z + offset, with L Lh = I."""

    if TYPE_CHECKING:  # read-only, so that a subclass may have a field or a property of the name

        @property
        def scale(self) -> float: ...

        @property
        def offset(self) -> float: ...

    else:
        scale = 1.0
        offset = 0.0

    @property
    @abstractmethod
    def linear(self) -> LinearOperator:
        """L: an isometry, or a co-isometry when z has more pixels than the image; of scale 1."""

    def decode(self, z: Tensor) -> Tensor:
        return self.scale * self.linear(z) + self.offset

    def encode(self, image: Tensor) -> Tensor:
        return self.linear.adjoint((image - self.offset) / self.scale)


class RealToComplex(Isometry):
    """(batch, 2 n, h, w) real, the n real parts first -> (batch, n, h, w) complex."""

    scale = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        real, imaginary = x.chunk(2, 1)
        return torch.complex(real.contiguous(), imaginary.contiguous())

    def adjoint(self, y: Tensor) -> Tensor:
        return torch.cat([y.real, y.imag], 1)

    def lift(self, support: Tensor) -> Tensor:
        return support if support.ndim == 2 or support.shape[1] == 1 else torch.cat([support, support], 1)


@dataclass(frozen=True)
class Interval(AffineCodec):
    """Images in [low, high], prior in [-1, 1]."""

    low: float = 0.0
    high: float = 1.0

    @property
    def linear(self) -> Identity:
        return Identity()

    @property
    def scale(self) -> float:
        return (self.high - self.low) / 2

    @property
    def offset(self) -> float:
        return (self.high + self.low) / 2


@dataclass(frozen=True)
class ComplexChannels(AffineCodec):
    """Complex images of magnitude about `scale`, prior on (real, imaginary) channels of magnitude about 1."""

    scale: float

    @property
    def linear(self) -> RealToComplex:
        return RealToComplex()


@dataclass(frozen=True)
class OneChannel(AffineCodec):
    """Images of one channel, as the part of a prior's channels along a direction.

    Grey pictures and a prior of colours: the direction (1, 1, 1). Magnitudes and a prior of complex images: (1, 0), the phase
    being zero. Across the direction nothing is measured; `straight` is the constraint that it is zero there, so that the
    channels are equal, or the phase zero. `restore` holds every estimate to it.

    Args:
        weights: the direction, one number a channel, of norm 1.
        scale: image = scale (weights . z) + offset.
        offset: the image of z = 0.
    """

    weights: tuple[float, ...]
    scale: float
    offset: float = 0.0

    @classmethod
    def magnitude(cls, scale: float) -> "OneChannel":
        """Magnitudes of about `scale`, as complex images of phase zero."""
        return cls((1.0, 0.0), scale)

    @classmethod
    def grey(cls, low: float, high: float) -> "OneChannel":
        """Grey pictures in [low, high], as RGB pictures of equal channels in [-1, 1]."""
        return cls((3**-0.5,) * 3, (high - low) / 2 / 3**0.5, (high + low) / 2)

    @property
    def linear(self) -> Grayscale:
        return Grayscale(self.weights)

    @property
    def straight(self) -> Chroma:
        """What is to be zero of codes of images."""
        return Chroma(self.weights)


@dataclass(frozen=True)
class Padded(AffineCodec):
    """Images in the middle of the larger field that a prior needs.

    Pixels outside the image are not measured, so they belong to the null space and the prior fills them, unless the
    operator's support says that they are zero.

    Args:
        size: (height, width) of the field.
        inner: (height, width) of the image.
    """

    size: tuple[int, int]
    inner: tuple[int, int]

    @property
    def linear(self) -> Crop:
        return Crop(self.size, self.inner)


@dataclass(frozen=True)
class CalibratedComplex:
    """The recipe of a complex prior: images are scaled so that a quantile of the calibration image's magnitude is 1.

    Args:
        quantile: of the magnitude of the low-resolution image that the calibration lines alone give, inside the support.
    """

    quantile: float = 0.99


Recipe = Interval | CalibratedComplex  # how a prior's codec is made once there are data
