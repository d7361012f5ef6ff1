"""Networks that are fitted to one image: what they learn, and that the prior stays as it is."""

import pytest
import torch
from helpers.pretend_device import NAME, pretending
from helpers.priors import smooth, tiny_prior
from torch import Tensor, nn

from medrestore.errors import InputError
from medrestore.priors import EDM, NetworkPrior, Watched, adapted
from medrestore.priors.adapted import LowRank


class OneByOne(nn.Module):
    """A linear network that mixes the channels of each pixel: it gives nothing at first."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2, 2, 1, bias=False)
        nn.init.zeros_(self.mix.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.mix(x)


def image() -> Tensor:
    """(1, 1, 24, 24): waves in both directions."""
    side = torch.arange(24.0)
    return (torch.sin(side / 3)[:, None] + torch.cos(side / 2))[None, None]


def error(prior: NetworkPrior, clean: Tensor, sigma: float = 0.3) -> float:
    noisy = clean + sigma * torch.randn(clean.shape, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        return float((prior(noisy, sigma) - clean).square().mean())


def test_a_linear_network_becomes_the_wiener_filter_of_the_image() -> None:
    """Of all linear maps of a pixel, C (C + sigma^2)^-1 denoises best, C the covariance of the channels."""
    prior = NetworkPrior(OneByOne(), EDM(), channels=2)
    prior.sigma_range = (0.5, 0.5)
    mixed = torch.einsum("ij,bjhw->bihw", torch.tensor([[1.0, 0.0], [0.8, 0.5]]), torch.randn(
        1, 2, 64, 64, generator=torch.Generator().manual_seed(0)))
    found = adapted(prior, mixed, rank=2, updates=500, rate=0.02)
    units = torch.eye(2)[:, :, None, None]
    covariance = torch.einsum("bihw,bjhw->ij", mixed, mixed) / 64**2
    best = covariance @ torch.linalg.inv(covariance + 0.25 * torch.eye(2))
    assert (found(units, 0.5)[:, :, 0, 0].T - best).abs().max() < 0.03
    assert torch.equal(prior.net.mix.weight, torch.zeros(2, 2, 1, 1))  # type: ignore[union-attr]


def test_it_learns_its_image_and_the_prior_stays_as_it_is() -> None:
    prior, clean = tiny_prior(), image()
    before = {name: value.clone() for name, value in prior.net.state_dict().items()}
    seen: list[int] = []
    found = adapted(prior, clean, updates=60, rate=1e-2, on_update=lambda: seen.append(1))
    assert error(found, clean) < 0.8 * error(prior, clean) and len(seen) == 60
    after = prior.net.state_dict()
    assert before.keys() == after.keys() == found.net.state_dict().keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert not any(parameter.requires_grad for parameter in found.net.parameters())


def test_additions_are_of_the_rank_that_is_asked_for() -> None:
    prior = tiny_prior(width=8)
    found = adapted(prior, image(), rank=1, updates=5)
    pairs = zip(prior.net.modules(), found.net.modules(), strict=True)
    changes = [(new.weight - old.weight).flatten(1) for old, new in pairs if isinstance(old, nn.Conv2d)]
    assert changes and max(int(torch.linalg.matrix_rank(change, rtol=1e-4)) for change in changes) == 1
    weight = torch.randn(3, 2, 3, 3)
    assert torch.equal(LowRank(weight, 2, torch.Generator().manual_seed(0))(weight), weight)


def test_the_same_seed_gives_the_same_prior() -> None:
    one, same, other = (adapted(tiny_prior(), image(), updates=3, seed=seed) for seed in (1, 1, 2))
    assert error(one, image()) == error(same, image()) != error(other, image())


@pytest.mark.parametrize(("height", "width"), [(7, 150), (130, 9)])
def test_images_of_any_size(height: int, width: int) -> None:
    """Padded to what the network takes, or cut into crops of at most 128 pixels a side."""
    shapes: list[tuple[int, ...]] = []
    prior = tiny_prior()
    prior.multiple = 4
    prior.net.register_forward_pre_hook(lambda module, given: shapes.append(tuple(given[0].shape)))
    adapted(Watched(prior, lambda count: None), torch.zeros(3, 1, height, width), updates=2)
    wanted = tuple(min(128, -(-side // 4) * 4) for side in (height, width))
    assert shapes and all(shape[2:] == wanted and shape[0] <= 2 for shape in shapes)


def test_on_another_device() -> None:
    here = adapted(tiny_prior(), image(), updates=5, rate=1e-2)
    with pretending():
        prior = tiny_prior()
        prior.net.to(NAME)
        there = adapted(prior, image().to(NAME), updates=5, rate=1e-2)
        noisy = there(image().to(NAME), 0.3).cpu()
    assert torch.allclose(noisy, here(image(), 0.3), atol=1e-4)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InputError, match="a StationaryGaussian has no convolutions that could be adapted; take a prior that is"):
        adapted(smooth(8), torch.zeros(1, 1, 8, 8))
