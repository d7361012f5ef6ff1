"""The images of several sets of coil maps by a prior of one."""

import pytest
import torch

from medrestore.codecs import ComplexChannels
from medrestore.errors import InputError
from medrestore.priors import BySets, Prior


class Turning(Prior):
    """Multiplies complex images by i, and records how many it is given."""

    channels, multiple, sigma_range = 2, 4, (0.01, 50.0)

    def __init__(self) -> None:
        self.given: list[torch.Size] = []

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.given.append(x.shape)
        return torch.cat([-x[:, 1:], x[:, :1]], 1)


def test_each_set_is_an_image_of_its_own() -> None:
    one = Turning()
    prior, codec = BySets(one, 3), ComplexChannels(1.0)
    assert prior.channels == 6 and prior.multiple == 4 and prior.sigma_range == (0.01, 50.0)
    images = torch.randn(2, 3, 4, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    turned = codec.decode(prior(codec.encode(images), 0.5))
    torch.testing.assert_close(turned, 1j * images)
    assert one.given == [(6, 2, 4, 4)]


def test_a_prior_of_other_images_is_refused() -> None:
    grey = Turning()
    grey.channels = 1
    with pytest.raises(InputError, match="two channels, and this one has 1"):
        BySets(grey, 2)
