"""Which codec serves images and prior of which kind."""

import pytest
import torch
from helpers.pictured import FieldOf
from laws import close, white

from medrestore.codecs import ComplexChannels, Interval
from medrestore.errors import InputError
from medrestore.images.coordinates import coordinates
from medrestore.images.coordinates import white_value as white_of
from medrestore.priors import Prior

INTERVAL = (10.0, 210.0)


@pytest.mark.parametrize(
    ("prior", "channels", "served"), [(1, 1, 1), (1, 3, 1), (2, 1, 1), (2, 3, 1), (3, 3, 3), (3, 1, 1)]
)
def test_images_of_any_channels_and_priors_of_any_go_together(prior: int, channels: int, served: int) -> None:
    made = coordinates(FieldOf(prior), channels, INTERVAL)
    assert made.channels == served
    image = 10 + 200 * white((1, served, 6, 5)).abs()
    z = made.codec.encode(image)
    assert z.shape[1] == prior
    close(made.codec.decode(z), image)
    for constraint in made.constraints((6, 5), "cpu"):
        assert float(constraint.operator(z).abs().max()) < 1e-5
    assert bool(made.note) == (prior != channels)


def test_white_is_one_to_a_complex_prior_and_to_one_of_pictures() -> None:
    assert float(
        coordinates(FieldOf(2), 1, INTERVAL).codec.encode(torch.full((1, 1, 1, 1), 210.0))[0, 0]
    ) == pytest.approx(1)
    for channels in (1, 3):
        z = coordinates(FieldOf(channels), channels, INTERVAL).codec.encode(
            torch.full((1, channels, 1, 1), 210.0)
        )
        close(z, torch.ones_like(z))
    assert isinstance(coordinates(FieldOf(2), 1, INTERVAL, is_complex=True).codec, ComplexChannels)
    assert coordinates(FieldOf(3), 3, INTERVAL).codec == Interval(*INTERVAL)


def test_what_does_not_go_together_is_refused() -> None:
    class Latent(FieldOf):
        def __init__(self) -> None:
            super().__init__()
            self.channels = 4

    odd: Prior = Latent()
    with pytest.raises(InputError, match="4 channels without a known recipe"):
        coordinates(odd, 3, INTERVAL)
    with pytest.raises(InputError, match="complex, and the prior is a prior of real"):
        coordinates(FieldOf(1), 1, INTERVAL, is_complex=True)


def test_white_is_a_quantile() -> None:
    values = torch.linspace(0, 1, 1001)
    assert white_of(values) == pytest.approx(0.995) and white_of(
        torch.complex(values, 0 * values)
    ) == pytest.approx(0.995)
    with pytest.raises(InputError, match="shows nothing"):
        white_of(torch.zeros(10))
