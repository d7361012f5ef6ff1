"""A volume by a prior of slices: a few at a time, and along three axes."""

import torch

from medrestore.priors import InBatches, Prior, ThreePlanes


class Halves(Prior):
    """Half of each image, and a record of what it is given."""

    channels, multiple, sigma_range = 2, 4, (0.01, 50.0)

    def __init__(self) -> None:
        self.given: list[torch.Size] = []

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        self.given.append(x.shape)
        assert x.shape[-1] % 4 == 0 and x.shape[-2] % 4 == 0
        return x / 2


class Rows(Halves):
    """The mean along each row."""

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        return x.mean(-1, keepdim=True).expand(x.shape)


def test_a_few_at_a_time() -> None:
    prior, x = Halves(), torch.randn(7, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(InBatches(prior, 3)(x, 1.0), x / 2)
    assert [len(shape) and shape[0] for shape in prior.given] == [3, 3, 1]


def test_three_planes_are_put_back_where_they_were() -> None:
    prior, x = Halves(), torch.randn(6, 2, 8, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ThreePlanes(prior)(x, 1.0), x / 2)
    assert prior.given == [(8, 2, 8, 12), (12, 2, 8, 8), (6, 2, 8, 12)]


def test_the_mean_is_over_the_planes() -> None:
    """Rows of the slices lie along the width; those of the planes across, along width and height."""
    x = torch.randn(8, 2, 8, 12, generator=torch.Generator().manual_seed(0))
    along_width, along_height = x.mean(3, keepdim=True).expand(x.shape), x.mean(2, keepdim=True).expand(x.shape)
    torch.testing.assert_close(ThreePlanes(Rows())(x, 1.0), (2 * along_width + along_height) / 3)
