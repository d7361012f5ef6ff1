"""Latent super-resolution from small networks; the published one is in `convert/test_ldm.py`."""

import pytest
import torch
from torch import Tensor

from medrestore.errors import InputError
from medrestore.priors import Epsilon, latent, store
from medrestore.priors.autoencoder import VQModel
from medrestore.priors.unet import UNet2DModel

UNET = {"layers_per_block": 1, "block_out_channels": (8, 8), "norm_num_groups": 4, "add_attention": False,
        "down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}


def codec() -> latent.LatentSuperResolution:
    torch.manual_seed(0)
    net = UNet2DModel(in_channels=6, out_channels=3, **UNET)
    vq = VQModel(block_out_channels=(8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 3, norm_num_groups=4,
                 up_block_types=("UpDecoderBlock2D",) * 3, layers_per_block=1, num_vq_embeddings=16)
    return latent.LatentSuperResolution(net, vq, Epsilon(), channels=3, multiple=2)


def small(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_codes_are_as_large_as_the_small_image() -> None:
    made = codec()
    assert made.factor == 4
    z = made.encode(small(2, 3, 32, 48))
    assert z.shape == (2, 3, 8, 12) and made.decode(z).shape == (2, 3, 32, 48)
    assert float((made.decode(z) - made.decode(z, quantise=False)).abs().max()) > 1e-6


@torch.no_grad()
def test_the_prior_given_an_image_is_the_network_with_that_image_in_its_input() -> None:
    made, image, sigma = codec(), small(1, 3, 8, 12), 1.3
    prior = made.given(image)
    x = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(2))
    t = made.parametrisation.timestep(torch.full((2,), sigma))
    entered = torch.cat([x / (1 + sigma**2) ** 0.5, (2 * image - 1).expand(2, -1, -1, -1)], 1)
    torch.testing.assert_close(prior(x, sigma), x - sigma * made.net(entered, t))
    assert (prior.size, prior.channels, prior.multiple) == ((8, 12), 3, 2)


@pytest.mark.parametrize(("image", "message"), [
    (torch.zeros(1, 1, 8, 8), "repeat a grey channel"), (torch.zeros(3, 8, 8), "has the shape"),
    (torch.zeros(1, 3, 8, 9), "both must be multiples of 2"), (torch.zeros(1, 3, 0, 8), "both must be multiples of 2"),
    (torch.full((1, 3, 8, 8), 255.0), r"values from 255 to 255, and the prior takes \[0, 1\]"),
    (torch.full((1, 3, 8, 8), torch.nan), "scale or clamp"),
])
def test_small_images_that_cannot_be_are_refused(image: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        codec().given(image)


def test_it_comes_back_from_its_folder(tmp_path) -> None:
    made = codec()
    store.save(tmp_path / "sr", made.net, parametrisation=Epsilon(), recipe=None, channels=3, multiple=2, card={},
               facts={"condition_channels": 3}, parts={latent.AUTOENCODER: made.autoencoder})
    loaded = latent.load(tmp_path / "sr")
    image, x = small(1, 3, 8, 8), torch.ones(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(loaded.given(image)(x, 0.5), made.given(image)(x, 0.5), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(loaded.decode(x), made.decode(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="needs a low-resolution image"):
        store.load(tmp_path / "sr")
