"""What settled pixels say of their surroundings, against the law that it is exact for."""

import pytest
import torch
from helpers.fields import Field, natural
from torch import Tensor

from medrestore.levels import karras
from medrestore.methods import DDIM, DDNM, DDS, DPS, DiffPIR, Method, RePaint
from medrestore.noise import Noise
from medrestore.priors import Prior
from medrestore.tiling import generate, raster, seam_ratio, settled_by
from medrestore.tiling.settled import REACH, SettledPrior, continued, step_between

SIZE = (9, 11)


def steps(size: tuple[int, int]) -> Tensor:
    """(pixels, pixels): x' S x is the sum of all squared steps between neighbours."""
    pixels = torch.eye(size[0] * size[1], dtype=torch.float64).reshape(-1, *size)
    down, right = pixels.diff(dim=1).flatten(1), pixels.diff(dim=2).flatten(1)
    return down @ down.T + right @ right.T


class Steps(Prior):
    """The field of density exp(-x' S x / (4 g^2)), whose mean is left free."""

    channels, multiple = 2, 1

    def __init__(self, g: float) -> None:
        self.precision = steps(SIZE) / (2 * g**2)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        noisy = torch.eye(len(self.precision), dtype=torch.float64) + sigma**2 * self.precision
        return torch.linalg.solve(noisy, x.double().flatten(2).mT).mT.reshape(x.shape).float()


def some_pixels() -> Tensor:
    where = torch.zeros(1, 1, *SIZE)
    where[..., :4], where[..., 5:, 9] = 1, 1
    return where


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
def test_it_is_the_mean_given_noise_and_pixels(sigma: float) -> None:
    """By the conditional of the joint Gaussian posterior, pixel by pixel."""
    g, where = 0.5, some_pixels()
    x, values = Noise([0, 1])((2, 2, *SIZE)), Noise([2, 3])((2, 2, *SIZE))
    values = values * g / step_between(values, where)  # steps as large as the prior's
    found = SettledPrior(Steps(g), values, where)(x, sigma)
    C = torch.linalg.inv(Steps(g).precision + torch.eye(99, dtype=torch.float64) / sigma**2)
    known = where.flatten() > 0
    mean = Steps(g)(x, sigma).double().flatten(2)
    off = values.double().flatten(2)[..., known] - mean[..., known]
    exact = mean + off @ torch.linalg.solve(C[known][:, known], C[known])
    assert torch.allclose(found.flatten(2)[..., known], values.flatten(2)[..., known], atol=1e-6)
    assert float((found.flatten(2) - exact).square().mean()) < 1e-3 * float((exact - mean).square().mean())


def test_each_image_has_its_own_reach() -> None:
    given, where = some_pixels().expand(2, 1, *SIZE).clone(), some_pixels()
    both = continued(given, where, torch.tensor([0.5, 3.0]).reshape(2, 1, 1, 1))
    (alone,) = continued(given[1:], where, torch.full((1, 1, 1, 1), 3.0))
    assert torch.allclose(both[1], alone, atol=1e-3) and float((both[1] - both[0])[0, 2, 5]) > 0.1


def test_pixels_without_neighbours_and_flat_ones() -> None:
    lone, where = torch.zeros(1, 1, *SIZE), some_pixels()
    lone[..., 4, 4] = 1
    x = Noise([0])((1, 2, *SIZE))
    prior = Steps(0.5)
    found = SettledPrior(prior, torch.zeros(1, 2, *SIZE), lone)(x, 1.0)
    assert torch.equal(found == prior(x, 1.0), (lone == 0).expand_as(found))  # how far it speaks is not known
    flat = SettledPrior(prior, torch.zeros(1, 2, *SIZE), where)(x, 1.0)
    exact = prior(x, 1.0) + continued(-where * prior(x, 1.0), where, torch.full((1, 1, 1, 1), REACH))
    assert torch.allclose(flat, exact) and flat.isfinite().all()


@pytest.mark.parametrize("method", [DDNM(), DDNM(0.5), DDS(eta=1.0), DiffPIR(), RePaint(), DDIM(1.0)], ids=str)
def test_no_seam_shows_with_few_levels(method: Method) -> None:
    """25 network calls a window; with settled pixels fixed alone these have 1.12 to 1.34."""
    prior, size, window = Field(natural()), (24, 40), (16, 16)
    z = generate(prior, method, karras(25, 10.0, 0.05), size=size, window=window, noise=Noise(range(96)), batch=400)
    owner = settled_by(raster(size, window, (8, 8)), torch.ones(size, dtype=torch.bool))
    assert seam_ratio(z, owner) == pytest.approx(1.0, abs=0.05)


def test_gradients_pass_through() -> None:
    """DPS differentiates its estimate."""
    prior = Field(natural())
    z = generate(prior, DPS(), karras(6, 10.0, 0.05), size=(8, 12), window=(8, 8), noise=Noise([0]))
    assert z.isfinite().all()
