"""Restoring and generating images by priors of codes and by priors that are given the coarse image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.autoencoders import autoencoder
from priors.test_latent import given_one, network
from torch import Tensor

from medrestore.cli.main import main
from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.images.arrays import restore_image
from medrestore.images.codes import coarse_image, images_of_codes, settled_by_prior
from medrestore.images.degradation import Degradation
from medrestore.images.generate import generated
from medrestore.images.plan import GeneratePlan, Plan
from medrestore.methods import METHODS, Conditional
from medrestore.operators import AveragePool
from medrestore.priors import Epsilon, NetworkPrior, latent, store
from medrestore.priors.latent import LatentPrior
from medrestore.priors.spaces import LatentSpace
from medrestore.problem import Problem

SR = Degradation(task="sr", factor=4)


def of_codes() -> LatentPrior:
    prior = NetworkPrior(network(3, 3), Epsilon(), channels=3, multiple=2)
    return LatentPrior(prior, LatentSpace(autoencoder("kl", 3, 3), 2.0, Interval()))


def picture(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_the_method_follows_from_the_prior() -> None:
    assert settled_by_prior(Plan(SR), given_one()).method == "conditional"
    assert settled_by_prior(Plan(SR), of_codes()).method == "resample" and settled_by_prior(Plan(SR), of_codes()).sigma_max == 40
    assert settled_by_prior(Plan(Degradation(task="jpeg", quality=20)), of_codes()).method_name == "dps"
    assert settled_by_prior(Plan(SR, method="dps", sigma_max=3.0), of_codes()) == Plan(SR, method="dps", sigma_max=3.0)
    pixels = NetworkPrior(network(3, 3), Epsilon(), channels=3, multiple=2)
    assert settled_by_prior(Plan(SR), pixels) == Plan(SR)


@pytest.mark.parametrize(("shape", "degradation", "by"), [
    ((1, 3, 8, 12), SR, 1), ((1, 3, 16, 24), Degradation(task="sr", factor=2), 2),
    ((1, 3, 32, 48), Degradation(task="denoise"), 4), ((1, 3, 32, 48), Degradation(task="deblur", blur_std=(1.0,)), 4),
])
def test_the_coarse_image_is_the_data_or_their_means(shape: tuple[int, ...], degradation: Degradation, by: int) -> None:
    y = picture(*shape)
    made = coarse_image(y, (32, 48), degradation, 4)
    torch.testing.assert_close(made, torch.nn.functional.avg_pool2d(y, by) if by > 1 else y)


@pytest.mark.parametrize(("shape", "degradation", "message"), [
    ((1, 3, 4, 6), Degradation(task="sr", factor=8), "the prior enlarges by 4"),
    ((1, 3, 32, 48), Degradation(task="cs", keep=0.5), "leaves no image from which a coarse one"),
    ((1, 1, 32, 48), Degradation(task="colorize"), "leaves no image from which a coarse one"),
])
def test_data_that_show_no_coarse_image_are_refused(shape: tuple[int, ...], degradation: Degradation, message: str) -> None:
    with pytest.raises(InputError, match=message):
        coarse_image(picture(*shape), (32, 48), degradation, 4)


@torch.no_grad()
def test_an_image_of_any_size_is_the_middle_of_what_the_prior_sees() -> None:
    """The condition of the field continues the coarse image by its last pixels."""
    prior, small = given_one(), 2 * picture(1, 3, 5, 7) - 1
    problem = Problem(AveragePool(4, (20, 28)), small)
    made = images_of_codes(problem, prior, Conditional(eta=0.0), (2.0, 0.5, 0.0), small=small, size=(20, 28), seeds=[3],
                           device="cpu",
                     batch_size=1)
    assert made.shape == (1, 3, 20, 28)
    rows, columns = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([0, 1, 2, 3, 4, 5, 6])
    whole = prior.given(small[..., rows, :][..., columns])  # 20 x 28 are multiples of 4 as they are
    assert isinstance(whole, LatentPrior) and whole.size == (10, 14)


@pytest.mark.parametrize("method", [None, "resample", "dps", "ddrm-srldm", "ddrm-srldm-decoded"])
def test_methods_restore_with_a_prior_that_is_given_the_coarse_image(method: str | None) -> None:
    y = picture(8, 10).numpy()
    made = restore_image(y, prior=given_one(optional=True), task="sr", factor=4, method=method, steps=2, noise_std=0.0)
    assert made.image.shape == (32, 40) and np.isfinite(made.image).all()
    if method in ("ddrm-srldm", "ddrm-srldm-decoded"):
        assert made.misfit < 1e-4


@pytest.mark.parametrize(("method", "message"), [
    ("ddrm", r"ddrm does not suit sr, whose operator \(AveragePool of what a decoder makes of codes\)"),
    ("conditional", "samples a prior that is given the coarse image, and this is none"),
    ("ddrm-srldm", "samples a prior that is given the coarse image, and this is none"),
])
def test_a_prior_of_codes_refuses_what_does_not_suit_it(method: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        restore_image(picture(8, 8).numpy(), prior=of_codes(), task="sr", factor=4, method=method, steps=2)
    if method == "ddrm":  # every way out that it names works
        for name in str(caught.value).partition("one of ")[2].replace(" and ", ", ").split(", "):
            if name == "shred":  # optimises, slowly
                continue
            made = restore_image(picture(8, 8).numpy(), prior=of_codes(), task="sr", factor=4, method=name, steps=2)
            assert np.isfinite(made.image).all() and METHODS.suits(name, "images")


def test_windows_and_pixels_are_refused() -> None:
    y = picture(8, 8).numpy()
    with pytest.raises(InputError, match="sees the whole image at once; leave `window` out"):
        restore_image(y, prior=of_codes(), task="sr", factor=4, window=16, steps=2)
    with pytest.raises(InputError, match="refines codes, and this is a prior of pixels"):
        restore_image(y, prior=given_one(pixels=True), task="sr", factor=4, method="ddrm-srldm", steps=2)


@pytest.mark.parametrize("size", [(16, 16), (18, 21)])
def test_images_are_generated_from_codes(size: tuple[int, int]) -> None:
    plan = GeneratePlan(height=size[0], width=size[1], samples=3, steps=3, batch_size=2)
    made = generated(of_codes(), plan)
    assert made.shape == (3, 3, *size) and bool(made.isfinite().all())
    assert torch.allclose(generated(of_codes(), plan)[2], made[2], atol=1e-4)
    with pytest.raises(InputError, match="was never trained without one"):
        generated(given_one(), plan)


def test_the_commands_take_the_folder(tmp_path: Path) -> None:
    from PIL import Image

    facts: dict[str, Any] = {"latent": {"scale": 2.0}, "condition_channels": 3,
                             "low_resolution": {"recipe": "average", "factor": 4, "drop": 0.1}}
    store.save(tmp_path / "sr", network(6, 3), parametrisation=Epsilon(), recipe=Interval(), channels=3, multiple=2, card={},
               facts=facts, parts={latent.AUTOENCODER: autoencoder("kl", 3, 3)})
    Image.fromarray((255 * picture(8, 12, 3)).byte().numpy()).save(tmp_path / "small.png")
    prior, out = str(tmp_path / "sr"), str(tmp_path / "large.png")
    assert main(["restore", str(tmp_path / "small.png"), "-o", out, "--task", "sr", "--factor", "4", "--prior", prior,
                 "--steps", "2"]) == 0
    with Image.open(out) as made:
        assert made.size == (48, 32)
    record = next(tmp_path.glob("large*.json")).read_text()
    assert '"method": "conditional"' in record or "Conditional(eta=1.0)" in record
    assert main(["generate", "-o", str(tmp_path / "made.npy"), "--prior", prior, "--height", "16", "--width", "16",
                 "--steps", "2"]) == 0
