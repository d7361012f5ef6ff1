"""Operators that are differentiable and no more."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError
from .base import Operator


class AroundOperator(Operator):
    """Something before or after another operator, whose measurements it leaves where they are."""

    operator: Operator

    @property
    def sampled(self) -> Tensor | None:
        return self.operator.sampled

    @property
    def differentiable(self) -> bool:
        return self.operator.differentiable


@dataclass(frozen=True)
class Decoded(AroundOperator):
    """A after a differentiable map, such as the decoder of a prior: no longer linear, still differentiable.

    Args:
        operator: A.
        decode: codes (batch, channel, height, width) to images.
        support: where the code may differ from zero; see `Operator`.
        scale: by which the measurement is divided, so that it is in the units of the code.
    """

    operator: Operator
    decode: Callable[[Tensor], Tensor]
    support: Tensor | None = None
    scale: float = 1.0

    @property
    def kind(self) -> str:
        return self.operator.kind

    def __call__(self, x: Tensor) -> Tensor:
        y = self.operator(self.decode(x))
        return y if self.scale == 1 else y / self.scale


@dataclass(frozen=True, kw_only=True)
class OfCodes(Decoded):
    """A linear A after the decoder of an autoencoder, whose encoder is known too: what methods of latent priors work on.

    Args:
        encode: images to codes.
    """

    encode: Callable[[Tensor], Tensor]

    @property
    def kind(self) -> str:
        return f"{self.operator.kind} of what a decoder makes of codes"


@dataclass(frozen=True)
class Saturation(Operator):
    """y = min(max(gain x, low), high): an exposure that runs into the ends of the sensor's range.

    Its gradient is that without the ends. Within them both agree; beyond, where the true one is zero, a value that is measured
    inside pulls back an estimate outside, and one that is measured at an end pulls at nothing that lies beyond it, as the
    likelihood of censored data has it (Tobin, Econometrica 1958).

    Args:
        gain: brightness of the exposure.
        low, high: the ends, in the units of y.

    Raises:
        InputError: no gain, or ends in the wrong order.
    """

    gain: float = 1.0
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.gain < math.inf and self.low < self.high):
            raise InputError(f"a saturation needs a positive gain and low below high, got gain {self.gain}, low {self.low}, "
                             f"high {self.high}")

    @property
    def differentiable(self) -> bool:
        return False

    def __call__(self, x: Tensor) -> Tensor:
        bright = self.gain * x
        return bright + (bright.clamp(self.low, self.high) - bright).detach()


@dataclass(frozen=True)
class Magnitude(AroundOperator):
    """|A x|: what is left of complex measurements whose phase is lost, such as magnitude images of an MR scanner.

    Args:
        operator: A, whose measurements are complex.
    """

    operator: Operator

    @property
    def support(self) -> Tensor | None:
        return self.operator.support

    def __call__(self, x: Tensor) -> Tensor:
        return self.operator(x).abs()


@dataclass(frozen=True)
class PhaseRetrieval(Operator):
    """|F x|: the magnitude of the Fourier transform of the image in a larger field of zeros.

    The transform is orthonormal on the field, so that noise in y is in the units of the image. Without a field twice as large
    the magnitude does not tell one image from another; with it what is left open is a shift, a half turn and a sign.

    Args:
        oversampling: how many times larger the field is along each axis.

    Raises:
        InputError: an oversampling below 1.
    """

    oversampling: float = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.oversampling < math.inf:
            raise InputError(f"the oversampling of a phase retrieval is at least 1, got {self.oversampling}")

    def __call__(self, x: Tensor) -> Tensor:
        size = [math.ceil(self.oversampling * side) for side in x.shape[-2:]]
        return torch.fft.fft2(x, s=size, norm="ortho").abs()


@dataclass(frozen=True)
class Learned(Operator):
    """What a network makes of an image, such as a learned non-linear blur.

    Args:
        net: (batch, channel, height, width) to a measurement with the batch first; used as it is, in evaluation mode.
        name: for messages.
    """

    net: torch.nn.Module
    name: str = "Learned"

    def __post_init__(self) -> None:
        self.net.eval()

    @property
    def kind(self) -> str:
        return self.name

    def __call__(self, x: Tensor) -> Tensor:
        measured: Tensor = self.net(x)
        return measured
