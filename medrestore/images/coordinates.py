"""How images of a file become the coordinates of a prior, whatever the channels of either."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..codecs import AffineCodec, CalibratedComplex, ComplexChannels, Interval, OneChannel
from ..errors import InputError
from ..operators import Chroma
from ..priors import Prior
from ..priors.latent import channels_of
from ..problem import Problem, straightened

WHITE = 0.995  # quantile of an image's values that is white to a prior
LONGEST = 2**23  # values of which a quantile of torch is taken; of more, every second, third, ...


@dataclass(frozen=True)
class Coordinates:
    """From images to codes.

    Attributes:
        codec: of images of `channels` channels.
        channels: how many a call of the prior serves; an image of more goes channel by channel.
        note: how the two fit, for people; empty where they are of one kind.
    """

    codec: AffineCodec
    channels: int
    note: str = ""

    def constraints(self, size: tuple[int, int], device: torch.device | str) -> list[Problem[Chroma]]:
        """What codes of images meet exactly."""
        return straightened(self.codec, size, device)


def coordinates(
    prior: Prior,
    channels: int,
    interval: tuple[float, float],
    *,
    is_complex: bool = False,
    name: str = "the prior",
) -> Coordinates:
    """The codec for images of so many channels with values about within `interval`.

    A complex prior takes magnitudes as complex images of phase zero. A prior of colours takes grey images as colours of
    equal channels. A prior of one channel, or a complex one, takes colours channel by channel.

    Raises:
        InputError: a prior that is not of images, or complex images and a prior of real ones.
    """
    low, high = interval
    match prior.recipe, channels_of(prior):
        case CalibratedComplex(), 2:
            if is_complex:
                return Coordinates(ComplexChannels(high), 1)
            note = "magnitudes are taken as complex images of phase zero" + (
                ", channel by channel" if channels == 3 else ""
            )
            return Coordinates(OneChannel.magnitude(high), 1, note)
        case Interval(), (1 | 3) as own if not is_complex:
            if own == 1:
                return Coordinates(
                    Interval(low, high), 1, "colour is restored channel by channel" if channels == 3 else ""
                )
            if channels == 3:
                return Coordinates(Interval(low, high), 3)
            return Coordinates(
                OneChannel.grey(low, high), 1, "a grey image is taken as one in colour with equal channels"
            )
    if is_complex and isinstance(prior.recipe, Interval):
        raise InputError(
            f"the image is complex, and {name} is a prior of real ones; give a complex prior, or the magnitude"
        )
    raise InputError(
        f"{name} is a prior of {channels_of(prior)} channels without a known recipe for images; give another `prior`"
    )


def white_value(values: Tensor) -> float:
    """The value that is white to a prior, of an image or of many.

    Raises:
        InputError: nothing is above zero.
    """
    flat = (values.abs() if values.is_complex() else values).flatten()
    found = float(torch.quantile(flat[:: -(-len(flat) // LONGEST)], WHITE))
    if not found > 0:
        raise InputError(
            f"the {WHITE:.1%} quantile of the image is {found:g}, so it shows nothing; give its `interval`"
        )
    return found
