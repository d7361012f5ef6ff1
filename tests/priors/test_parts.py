"""Complex images by a prior of real ones."""

import pytest
import torch

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.priors import ByParts, Prior, StationaryGaussian


class Grey(Prior):
    """Records what it is given."""

    channels, multiple, sigma_range = 1, 2, (0.01, 50.0)

    def __init__(self, recipe: Interval | None) -> None:
        self.recipe = recipe
        self.given: list[tuple[torch.Tensor, float]] = []

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.given.append((x, sigma))
        return 0.5 * x


def test_both_parts_are_images_in_the_coordinates_of_the_prior() -> None:
    grey = Grey(Interval(0.0, 4.0))  # image 0 to 4 is -1 to 1 to it
    prior = ByParts(grey)
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    out = prior(x, 0.8)
    (seen, sigma), = grey.given
    assert seen.shape == (6, 1, 4, 4) and sigma == pytest.approx(0.4)
    torch.testing.assert_close(seen[:, 0].reshape(3, 2, 4, 4), (x - 2) / 2)
    torch.testing.assert_close(out, 2 * (0.5 * (x - 2) / 2) + 2)
    assert (prior.channels, prior.multiple, prior.sigma_range) == (2, 2, (0.02, 100.0))
    assert prior.recipe == CalibratedComplex()


def test_the_estimate_is_that_of_independent_parts() -> None:
    power = torch.ones(4, 4)
    real = StationaryGaussian(power)
    object.__setattr__(real, "recipe", Interval(-1.0, 1.0))
    x = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ByParts(real)(x, 0.7), StationaryGaussian(power, channels=2)(x, 0.7))


@pytest.mark.parametrize("prior", [Grey(None), StationaryGaussian(torch.ones(4, 4), channels=2)], ids=["no interval", "complex"])
def test_others_are_refused(prior: Prior) -> None:
    with pytest.raises(InputError, match="complex images by parts take a prior of one channel with an interval"):
        ByParts(prior)
