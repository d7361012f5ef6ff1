"""Latent-diffusion super-resolution: both networks against forwards over the original keys, and from file to decoded image."""

import math
from itertools import pairwise

import pytest
import torch
from helpers.checkpoints import open_checkpoint
from helpers.latent_diffusion import (
    EMA,
    UNET,
    VQ,
    State,
    VQForward,
    layout,
    random_state,
    unet_forward,
    unet_layout,
    vq_layout,
)
from torch import Tensor

from medrestore import shipped
from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.images.arrays import restore_image
from medrestore.images.codes import settled_by_prior
from medrestore.images.degradation import Degradation
from medrestore.images.plan import Plan
from medrestore.methods import DDIM
from medrestore.noise import Noise
from medrestore.priors import latent
from medrestore.priors.convert import write
from medrestore.priors.convert.ldm import FAMILY
from medrestore.priors.parametrisations import scaled_linear_betas
from medrestore.priors.spaces import LatentSpace
from medrestore.sampling import sample


@pytest.fixture
def state() -> State:
    return random_state(layout(unet_layout(**UNET), vq_layout(**VQ)))


def close(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).norm() < 1e-4 * other.norm())


def prior_of(made):
    space = LatentSpace(made.parts["vqvae"], 1.0, Interval())
    return latent.SuperResolutionPrior(made.net, made.parametrisation, channels=3, condition_channels=3, factor=space.factor,
                                       multiple=made.multiple, space=space, recipe=Interval())


@torch.no_grad()
def test_both_networks_are_the_originals(state):
    made = FAMILY.convert(dict(state), {})
    generator = torch.Generator().manual_seed(1)
    x, t = torch.randn(2, 6, 8, 12, generator=generator), torch.tensor([4.0, 803.5])
    assert close(made.net(x, t), unet_forward(state, x, t, **UNET))
    image, reference = torch.rand(1, 3, 16, 24, generator=generator), VQForward(state, **VQ)
    prior = prior_of(made)
    z, space = reference.encode(2 * image - 1), prior.space
    assert z.shape == (1, 3, 8, 12) and prior.factor == 2 and close(space.encode(2 * image - 1), z)
    for quantise in (True, False):
        assert close(space.decode(z, quantise=quantise), reference.decode(z, quantise=quantise))
    assert not close(space.decode(z), space.decode(z, quantise=False))
    assert (made.channels, made.multiple, made.recipe) == (3, 4, None)
    assert made.parametrisation.betas == pytest.approx(scaled_linear_betas(0.0015, 0.0155), rel=1e-6)


@torch.no_grad()
def test_without_an_average_the_last_weights_are_taken_and_the_published_schedule(state):
    bare = {key: value for key, value in state.items() if key.startswith(("model.", "first_stage_model."))}
    made = FAMILY.convert(dict(bare), {})
    x, t = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([300.0])
    expected = unet_forward(state, x, t, **UNET, name_of=lambda key: f"model.diffusion_model.{key}")
    assert close(made.net(x, t), expected) and not close(expected, unet_forward(state, x, t, **UNET))
    assert made.parametrisation.betas == pytest.approx(scaled_linear_betas(0.0015, 0.0155), rel=1e-9)
    assert made.about["weights"] == "the last ones"
    narrower = FAMILY.convert(dict(bare), {"num_head_channels": 16, "beta_end": 0.02})
    assert close(narrower.net(x, t), unet_forward(state, x, t, **UNET, heads_of=16,
                                                        name_of=lambda key: f"model.diffusion_model.{key}"))
    assert narrower.parametrisation.betas[-1] == pytest.approx(0.02)


@torch.no_grad()
def test_given_a_small_image_it_is_a_prior_of_codes(state):
    made = FAMILY.convert(dict(state), {})
    prior = prior_of(made)
    generator = torch.Generator().manual_seed(1)
    small, x = torch.rand(1, 3, 8, 12, generator=generator), torch.randn(2, 3, 8, 12, generator=generator)
    here = prior.given(2 * small - 1)
    sigma, betas = 1.7, torch.tensor(made.parametrisation.betas, dtype=torch.float64)
    logs = (1 / torch.cumprod(1 - betas, 0) - 1).sqrt().log()
    i = int((logs < math.log(sigma)).sum())
    t = i - 1 + (math.log(sigma) - float(logs[i - 1])) / float(logs[i] - logs[i - 1])
    told = torch.cat([x / (1 + sigma**2) ** 0.5, (2 * small - 1).expand(2, -1, -1, -1)], 1)
    expected = x - sigma * unet_forward(state, told, torch.full((2,), t), **UNET)
    torch.testing.assert_close(here(x, sigma), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert (here.size, here.channels, here.multiple) == ((8, 12), 3, 4)
    assert here.sigma_range == made.parametrisation.sigma_range
    other = prior.given(1 - 2 * small)
    assert not torch.allclose(other(x, sigma), here(x, sigma), atol=1e-2)


@torch.no_grad()
def test_from_a_file_to_a_large_image(tmp_path, state):
    torch.save({"epoch": 3, "state_dict": state, "optimizer_states": [{"state": {0: torch.ones(3)}}]}, tmp_path / "a.ckpt")
    converted = open_checkpoint(tmp_path / "a.ckpt")
    assert converted.family == FAMILY.name
    about = write(converted, tmp_path / "sr", source=tmp_path / "a.ckpt")
    assert about["condition_channels"] == 3 and set(about["parts"]) == {"vqvae"}
    assert {path.name for path in (tmp_path / "sr").iterdir()} == {".medrestore", "unet", "vqvae", "prior.json"}
    prior = latent.load(tmp_path / "sr")
    here = prior.given(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
    codes = sample(None, here, DDIM(), (10.0, 1.0, 0.1, 0.0), noise=Noise((0, 1)), size=here.size)
    assert prior.space.decode(codes).shape == (2, 3, 16, 16) and bool(codes.isfinite().all())
    x = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(2))
    assert close(prior.net(x, torch.tensor([30.0])), unet_forward(state, x, torch.tensor([30.0]), **UNET))
    weights = tmp_path / "sr" / "vqvae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match="sha256"):
        latent.load(tmp_path / "sr")


@torch.no_grad()
def test_restoring_gives_the_numbers_of_the_original(tmp_path, state):
    """By the command's way from a file: the published sampler over the original networks' own keys, deterministic."""
    torch.save(state, tmp_path / "a.ckpt")
    write(open_checkpoint(tmp_path / "a.ckpt"), tmp_path / "sr", source=tmp_path / "a.ckpt")
    y = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(1))
    made = restore_image(y, prior=str(tmp_path / "sr"), task="sr", factor=2, options={"eta": 0}, method="conditional", steps=3,
                         interval=(0.0, 1.0), noise_std=0.0, seed=5, bf16=False)
    prior, small = latent.load(tmp_path / "sr"), (2 * y - 1).permute(2, 0, 1)[None]
    levels = settled_by_prior(Plan(Degradation(task="sr", factor=2), steps=3), prior).levels(prior)
    x = levels[0] * Noise((5,))((1, 3, 8, 8))
    for sigma, below in pairwise(levels):
        t = prior.parametrisation.timestep(torch.tensor([sigma]))
        x0 = x - sigma * unet_forward(state, torch.cat([x / (1 + sigma**2) ** 0.5, small], 1), t, **UNET)
        x = x0 + below / sigma * (x - x0)
    expected = (VQForward(state, **VQ).decode(x, quantise=True)[0].permute(1, 2, 0) + 1) / 2
    assert made.image.shape == (16, 16, 3) and close(made.image, expected)


def test_gradients_pass_the_decoder(state):
    made = FAMILY.convert(dict(state), {})
    prior = prior_of(made)
    z = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    prior.space.decode(z).square().sum().backward()
    assert z.grad is not None and float(z.grad.norm()) > 0


def test_full_size():
    unet = unet_layout(width=160, mults=(1, 2, 2, 4), blocks=2, attention=(16, 8))
    vq = vq_layout(width=128, mults=(1, 2, 4), blocks=2, codes=8192)
    shapes = layout(unet, vq)
    assert FAMILY.recognises(shapes)
    assert (len(unet), sum(map(math.prod, unet.values()))) == (306, 113_622_563)
    assert (len(vq), sum(map(math.prod, vq.values()))) == (205, 55_322_782)
    made = FAMILY.convert({key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}, {})
    assert sum(value.numel() for value in made.net.parameters()) == 113_622_563
    assert sum(value.numel() for value in made.parts["vqvae"].parameters()) == 55_322_782
    assert (made.multiple, made.channels, made.about["enlarges by"], made.about["condition_channels"]) == (8, 3, 4, 3)


@pytest.mark.parametrize(("change", "says"), [
    (lambda s: s.pop("model.diffusion_model.input_blocks.1.0.in_layers.2.weight"), "averaged weights do not fit"),
    (lambda s: s.pop(EMA), EMA),
    (lambda s: s.update({EMA: torch.zeros(4)}), "out.2.bias"),
    (lambda s: s.pop("first_stage_model.quant_conv.weight"), "lacks quant_conv.weight"),
    (lambda s: s.pop("first_stage_model.encoder.down.0.block.0.conv1.weight"), "encoder.down.0.block.0.conv1.weight of 4 axes"),
    (lambda s: s.update({"first_stage_model.encoder.down.0.attn.0.q.weight": torch.zeros(1)}), "attn.0.q.weight"),
    (lambda s: s.update({"first_stage_model.quantize.embedding.weight": torch.zeros(24, 4)}), "quant_conv|post_quant"),
    (lambda s: s.update({"cond_stage_model.weight": torch.zeros(1)}), "cond_stage_model.weight"),
    (lambda s: s.update({"scale_factor": torch.tensor(0.18)}), "scales its codes"),
    (lambda s: s.update({"betas": torch.zeros(3)}), "no schedule"),
    (lambda s: s["first_stage_model.decoder.conv_out.bias"].fill_(math.nan), "NaN"),
])
def test_what_does_not_fit_is_one_sentence(state, change, says):
    change(state)
    with pytest.raises(InputError, match=says) as error:
        FAMILY.convert(state, {})
    assert "\n" not in str(error.value)


def test_heads_that_do_not_divide(state):
    with pytest.raises(InputError, match="heads of 7"):
        FAMILY.convert(state, {"num_head_channels": 7})


def test_other_latent_networks_are_refused():
    state = random_state(layout(unet_layout(**UNET, inside=3), vq_layout(**VQ)))
    with pytest.raises(InputError, match="only super-resolution"):
        FAMILY.convert(state, {})
    state = random_state(layout(unet_layout(**UNET, inside=7, out=4), vq_layout(**VQ)))
    with pytest.raises(InputError, match="different checkpoints"):
        FAMILY.convert(state, {})


@pytest.mark.parametrize(("small", "says"), [
    (torch.zeros(1, 1, 8, 8), "repeat a grey channel"), (torch.zeros(3, 8, 8), "shape"),
    (torch.zeros(1, 3, 8, 10), "multiples of 8"),
    (torch.full((1, 3, 8, 8), 200.0), r"takes \[-1, 1\]; scale or clamp"),
    (torch.full((1, 3, 8, 8), math.nan), r"takes \[-1, 1\]; scale or clamp"),
])
def test_small_images_that_cannot_be(state, small, says):
    made = FAMILY.convert(state, {})
    prior = prior_of(made)
    with pytest.raises(InputError, match=says):
        prior.given(small)


def test_an_ordinary_prior_is_no_latent_one():
    name = next(iter(shipped.priors()))
    with pytest.raises(InputError, match="is a prior of images alone"):
        latent.load(name)
