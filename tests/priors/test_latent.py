"""Priors of codes and priors that are given the coarse image; the published network is in `convert/test_ldm.py`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.autoencoders import autoencoder
from torch import Tensor

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.priors import Epsilon, NetworkPrior, latent, store
from medrestore.priors.latent import LatentPrior, SuperResolutionPrior
from medrestore.priors.spaces import LatentSpace
from medrestore.priors.unet import UNet2DModel

UNET: dict[str, Any] = {"layers_per_block": 1, "block_out_channels": (8, 8), "norm_num_groups": 4, "add_attention": False,
                        "down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}


def network(inside: int, out: int) -> UNet2DModel:
    torch.manual_seed(0)
    return UNet2DModel(in_channels=inside, out_channels=out, **UNET)


def given_one(factor: int = 4, *, optional: bool = False, pixels: bool = False) -> SuperResolutionPrior:
    space = None if pixels else LatentSpace(autoencoder("kl", 3, 3), 2.0, Interval())
    return SuperResolutionPrior(network(6, 3), Epsilon(), channels=3, condition_channels=3, factor=factor, multiple=2,
                                space=space, recipe=Interval(), optional=optional)


def small(*shape: int) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(1)) - 1


@torch.no_grad()
def test_the_prior_given_an_image_is_the_network_with_that_image_in_its_input() -> None:
    made, image, sigma = given_one(), small(1, 3, 4, 6), 1.3
    prior = made.given(image)
    assert isinstance(prior, LatentPrior) and prior.space is made.space and prior.size == (8, 12)
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(2))
    t = made.parametrisation.timestep(torch.full((2,), sigma))
    repeated = image.repeat_interleave(2, -1).repeat_interleave(2, -2).expand(2, -1, -1, -1)
    entered = torch.cat([x / (1 + sigma**2) ** 0.5, repeated], 1)
    torch.testing.assert_close(prior(x, sigma), x - sigma * made.net(entered, t))


@torch.no_grad()
def test_in_pixels_it_is_a_plain_prior() -> None:
    made = given_one(2, pixels=True)
    prior = made.given(small(1, 3, 4, 4))
    assert isinstance(prior, NetworkPrior) and prior.size == (8, 8) and made.grain == 2
    assert prior(small(1, 3, 8, 8), 0.5).shape == (1, 3, 8, 8)


@torch.no_grad()
def test_without_the_image_it_is_given_zeros_where_it_was_trained_so() -> None:
    x = small(1, 3, 8, 8)
    with pytest.raises(InputError, match="was never trained without one"):
        given_one()(x, 0.5)
    made = given_one(optional=True)
    torch.testing.assert_close(made(x, 0.5), made.given(torch.zeros(1, 3, 4, 4))(x, 0.5))
    assert not torch.allclose(made(x, 0.5), made.given(small(1, 3, 4, 4))(x, 0.5), atol=1e-3)


@torch.no_grad()
def test_calls_are_counted_inside() -> None:
    calls: list[int] = []
    watched = given_one(optional=True).watched(calls.append)
    watched.given(small(1, 3, 4, 4))(small(2, 3, 8, 8), 0.5)
    watched(small(1, 3, 8, 8), 0.5)
    alone = given_one(optional=True).alone.watched(calls.append)
    assert isinstance(alone, LatentPrior) and alone.whole
    alone(small(3, 3, 8, 8), 0.5)
    assert calls == [2, 1, 3]


@pytest.mark.parametrize(("image", "message"), [
    (torch.zeros(1, 1, 8, 8), "repeat a grey channel"), (torch.zeros(3, 8, 8), "has the shape"),
    (torch.zeros(1, 3, 0, 8), "whose sides are multiples of 4"),
    (torch.full((1, 3, 8, 8), 255.0), r"values from 255 to 255, and the prior takes \[-1, 1\]"),
    (torch.full((1, 3, 8, 8), torch.nan), "scale or clamp"),
])
def test_coarse_images_that_cannot_be_are_refused(image: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given_one().given(image)


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(InputError, match="an image of 8 x 10 pixels does not suit the prior, whose sides are multiples of 4"):
        given_one().size_of_codes((8, 10))
    with pytest.raises(InputError, match="do not belong together"):
        LatentPrior(NetworkPrior(network(2, 2), Epsilon(), channels=2), LatentSpace(autoencoder()))


def saved(folder: Path, facts: dict[str, Any], inside: int) -> None:
    store.save(folder, network(inside, 3), parametrisation=Epsilon(), recipe=CalibratedComplex(), channels=3, multiple=2, card={},
               facts=facts, parts={latent.AUTOENCODER: autoencoder()})


@torch.no_grad()
def test_a_prior_of_codes_comes_back_from_its_folder(tmp_path: Path) -> None:
    saved(tmp_path / "codes", {"latent": {"scale": 2.5}}, 3)
    loaded = latent.load(tmp_path / "codes")
    assert isinstance(loaded, LatentPrior) and loaded.space.scale == 2.5 and loaded.recipe == CalibratedComplex()
    x = small(1, 3, 8, 8)
    torch.testing.assert_close(loaded.space.decode(x), autoencoder().decode(x / 2.5), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="is a prior of codes, which scans, frames and windows cannot use"):
        store.load(tmp_path / "codes")
    assert latent.is_latent(store.describe(tmp_path / "codes")) and latent.channels_of(loaded) == 2


def test_one_that_is_given_the_coarse_image_comes_back(tmp_path: Path) -> None:
    low = {"recipe": "bsr", "factor": 4, "drop": 0.1}
    saved(tmp_path / "sr", {"latent": {"scale": 2.5}, "condition_channels": 2, "low_resolution": low}, 5)
    loaded = latent.load(tmp_path / "sr")
    assert isinstance(loaded, SuperResolutionPrior) and loaded.optional and loaded.factor == 4 and loaded.condition_channels == 2
    with pytest.raises(InputError, match="needs a low-resolution image"):
        store.load(tmp_path / "sr")
    saved(tmp_path / "published", {"condition_channels": 2}, 5)
    published = latent.load(tmp_path / "published")
    assert isinstance(published, SuperResolutionPrior) and not published.optional and published.factor == 2


def test_a_prior_of_images_alone_is_refused() -> None:
    with pytest.raises(InputError, match="is a prior of images alone"):
        latent.load("brain-mr-starter")
