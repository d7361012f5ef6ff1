"""Latent-diffusion super-resolution: both networks against forwards over the original keys, and from file to decoded image."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
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
from medrestore.priors.convert import open_checkpoint, write
from medrestore.priors.convert.ldm import FAMILY
from medrestore.priors.parametrisations import scaled_linear_betas
from medrestore.priors.spaces import LatentSpace
from medrestore.sampling import sample

State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


def unet_layout(*, width: int, mults: tuple[int, ...], blocks: int, attention: tuple[int, ...], inside: int = 6,
                out: int = 3) -> Shapes:
    """The U-Net of latent diffusion: convolutions resample, the time is added, attention at the factors given."""
    shapes: Shapes = {}

    def put(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    def resnet(name: str, cin: int, cout: int) -> None:
        put(f"{name}.in_layers.0", cin)
        put(f"{name}.in_layers.2", cout, cin, 3, 3)
        put(f"{name}.emb_layers.1", cout, 4 * width)
        put(f"{name}.out_layers.0", cout)
        put(f"{name}.out_layers.3", cout, cout, 3, 3)
        if cin != cout:
            put(f"{name}.skip_connection", cout, cin, 1, 1)

    def attend(name: str, c: int) -> None:
        put(f"{name}.norm", c)
        put(f"{name}.qkv", 3 * c, c, 1)
        put(f"{name}.proj_out", c, c, 1)

    put("time_embed.0", 4 * width, width)
    put("time_embed.2", 4 * width, 4 * width)
    put("input_blocks.0.0", width, inside, 3, 3)
    c, k, skips = width, 1, [width]
    for level, mult in enumerate(mults):
        for _ in range(blocks):
            resnet(f"input_blocks.{k}.0", c, width * mult)
            c = width * mult
            if 2**level in attention:
                attend(f"input_blocks.{k}.1", c)
            skips.append(c)
            k += 1
        if level < len(mults) - 1:
            put(f"input_blocks.{k}.0.op", c, c, 3, 3)
            skips.append(c)
            k += 1
    resnet("middle_block.0", c, c)
    attend("middle_block.1", c)
    resnet("middle_block.2", c, c)
    k = 0
    for level, mult in reversed(list(enumerate(mults))):
        for j in range(blocks + 1):
            resnet(f"output_blocks.{k}.0", c + skips.pop(), width * mult)
            c, at = width * mult, 1
            if 2**level in attention:
                attend(f"output_blocks.{k}.1", c)
                at = 2
            if level > 0 and j == blocks:
                put(f"output_blocks.{k}.{at}.conv", c, c, 3, 3)
            k += 1
    put("out.0", c)
    put("out.2", out, width, 3, 3)
    return shapes


def vq_layout(*, width: int, mults: tuple[int, ...], blocks: int, codes: int, embedded: int = 3, latent: int = 3) -> Shapes:
    """The autoencoder of the first stage, with attention in the middle alone."""
    shapes: Shapes = {}

    def put(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    def resnet(name: str, cin: int, cout: int) -> None:
        put(f"{name}.norm1", cin)
        put(f"{name}.conv1", cout, cin, 3, 3)
        put(f"{name}.norm2", cout)
        put(f"{name}.conv2", cout, cout, 3, 3)
        if cin != cout:
            put(f"{name}.nin_shortcut", cout, cin, 1, 1)

    def middle(name: str, c: int) -> None:
        resnet(f"{name}.mid.block_1", c, c)
        put(f"{name}.mid.attn_1.norm", c)
        for part in ("q", "k", "v", "proj_out"):
            put(f"{name}.mid.attn_1.{part}", c, c, 1, 1)
        resnet(f"{name}.mid.block_2", c, c)

    put("encoder.conv_in", width, 3, 3, 3)
    c = width
    for level, mult in enumerate(mults):
        for j in range(blocks):
            resnet(f"encoder.down.{level}.block.{j}", c, width * mult)
            c = width * mult
        if level < len(mults) - 1:
            put(f"encoder.down.{level}.downsample.conv", c, c, 3, 3)
    middle("encoder", c)
    put("encoder.norm_out", c)
    put("encoder.conv_out", latent, c, 3, 3)
    put("decoder.conv_in", c, latent, 3, 3)
    middle("decoder", c)
    for level, mult in reversed(list(enumerate(mults))):
        for j in range(blocks + 1):
            resnet(f"decoder.up.{level}.block.{j}", c, width * mult)
            c = width * mult
        if level > 0:
            put(f"decoder.up.{level}.upsample.conv", c, c, 3, 3)
    put("decoder.norm_out", c)
    put("decoder.conv_out", 3, c, 3, 3)
    shapes["quantize.embedding.weight"] = (codes, embedded)
    put("quant_conv", embedded, latent, 1, 1)
    put("post_quant_conv", latent, embedded, 1, 1)
    return shapes


def layout(unet: Shapes, vq: Shapes, *, averaged: bool = True) -> Shapes:
    """One checkpoint's state dict."""
    shapes = {f"model.diffusion_model.{key}": shape for key, shape in unet.items()}
    if averaged:
        shapes |= {"model_ema.diffusion_model" + key.replace(".", ""): shape for key, shape in unet.items()}
        shapes |= {"model_ema.decay": (), "model_ema.num_updates": ()}
    return shapes | {f"first_stage_model.{key}": shape for key, shape in vq.items()}


def random_state(shapes: Shapes, seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        state[key] = torch.randn(shape, generator=generator) / (max(math.prod(shape[1:]), 1) ** 0.5 if len(shape) > 1 else 4)
        if "embedding" in key:
            state[key] = state[key] * shape[1] ** 0.5
        elif len(shape) == 1 and key.endswith("weight"):
            state[key] += 1
    if "model_ema.num_updates" in state:
        state["model_ema.num_updates"] = torch.tensor(7, dtype=torch.int32)
    betas = torch.linspace(0.0015**0.5, 0.0155**0.5, 1000, dtype=torch.float64) ** 2
    state |= {"betas": betas.float(), "alphas_cumprod": torch.cumprod(1 - betas, 0).float(), "scale_factor": torch.tensor(1.0),
              "sqrt_recipm1_alphas_cumprod": torch.ones(1000), "posterior_mean_coef2": torch.ones(1000)}
    return state


UNET = dict(width=32, mults=(1, 2, 2), blocks=1, attention=(4,))
VQ = dict(width=32, mults=(1, 2), blocks=2, codes=24)


@pytest.fixture
def state() -> State:
    return random_state(layout(unet_layout(**UNET), vq_layout(**VQ)))


def taker(state: State, name_of: Callable[[str], str]) -> Callable[[str], tuple[Tensor, Tensor]]:
    return lambda name: (state[name_of(f"{name}.weight")], state[name_of(f"{name}.bias")])


def averaged_name(key: str) -> str:
    return "model_ema.diffusion_model" + key.replace(".", "")


def unet_forward(state: State, x: Tensor, t: Tensor, *, width: int, mults: tuple[int, ...], blocks: int,
                 attention: tuple[int, ...], name_of: Callable[[str], str] = averaged_name, heads_of: int = 32) -> Tensor:
    """The network over its own keys; a module is there when its key is."""
    take = taker(state, name_of)

    def norm(name: str, h: Tensor) -> Tensor:
        return F.group_norm(h, 32, *take(name), eps=1e-5)

    def resnet(name: str, h: Tensor) -> Tensor:
        y = F.conv2d(F.silu(norm(f"{name}.in_layers.0", h)), *take(f"{name}.in_layers.2"), padding=1)
        y = y + F.linear(F.silu(emb), *take(f"{name}.emb_layers.1"))[:, :, None, None]
        y = F.conv2d(F.silu(norm(f"{name}.out_layers.0", y)), *take(f"{name}.out_layers.3"), padding=1)
        return y + (F.conv2d(h, *take(f"{name}.skip_connection")) if name_of(f"{name}.skip_connection.weight") in state else h)

    def attend(name: str, h: Tensor) -> Tensor:
        b, c, height, w = h.shape
        qkv = F.conv1d(norm(f"{name}.norm", h).flatten(2), *take(f"{name}.qkv"))
        q, k, v = qkv.reshape(b, c // heads_of, 3, heads_of, height * w).unbind(2)
        weights = (torch.einsum("bhcq,bhck->bhqk", q, k) / heads_of**0.5).softmax(-1)
        y = torch.einsum("bhqk,bhck->bhcq", weights, v).reshape(b, c, height * w)
        return h + F.conv1d(y, *take(f"{name}.proj_out")).reshape(h.shape)

    half = width // 2
    angles = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / half)
    emb = F.linear(torch.cat([angles.cos(), angles.sin()], 1), *take("time_embed.0"))
    emb = F.linear(F.silu(emb), *take("time_embed.2"))
    hs = [F.conv2d(x, *take("input_blocks.0.0"), padding=1)]
    k = 1
    for level in range(len(mults)):
        for _ in range(blocks):
            h = resnet(f"input_blocks.{k}.0", hs[-1])
            hs.append(attend(f"input_blocks.{k}.1", h) if 2**level in attention else h)
            k += 1
        if level < len(mults) - 1:
            hs.append(F.conv2d(hs[-1], *take(f"input_blocks.{k}.0.op"), stride=2, padding=1))
            k += 1
    h = resnet("middle_block.2", attend("middle_block.1", resnet("middle_block.0", hs[-1])))
    k = 0
    for level in reversed(range(len(mults))):
        for j in range(blocks + 1):
            h = resnet(f"output_blocks.{k}.0", torch.cat([h, hs.pop()], 1))
            here = 2**level in attention
            h = attend(f"output_blocks.{k}.1", h) if here else h
            if level > 0 and j == blocks:
                h = h.repeat_interleave(2, -1).repeat_interleave(2, -2)
                h = F.conv2d(h, *take(f"output_blocks.{k}.{1 + here}.conv"), padding=1)
            k += 1
    return F.conv2d(F.silu(norm("out.0", h)), *take("out.2"), padding=1)


class VQForward:
    """The autoencoder over its own keys."""

    def __init__(self, state: State, *, mults: tuple[int, ...], blocks: int, **_: int) -> None:
        self.state, self.levels, self.blocks = state, len(mults), blocks
        self.take = taker(state, lambda key: f"first_stage_model.{key}")

    def norm(self, name: str, h: Tensor) -> Tensor:
        return F.group_norm(h, 32, *self.take(name), eps=1e-6)

    def resnet(self, name: str, h: Tensor) -> Tensor:
        y = F.conv2d(F.silu(self.norm(f"{name}.norm1", h)), *self.take(f"{name}.conv1"), padding=1)
        y = F.conv2d(F.silu(self.norm(f"{name}.norm2", y)), *self.take(f"{name}.conv2"), padding=1)
        skips = f"first_stage_model.{name}.nin_shortcut.weight" in self.state
        return y + (F.conv2d(h, *self.take(f"{name}.nin_shortcut")) if skips else h)

    def middle(self, name: str, h: Tensor) -> Tensor:
        h = self.resnet(f"{name}.mid.block_1", h)
        y = self.norm(f"{name}.mid.attn_1.norm", h)
        q, k, v = (F.conv2d(y, *self.take(f"{name}.mid.attn_1.{part}")).flatten(2) for part in "qkv")
        y = v @ (q.transpose(1, 2) @ k / h.shape[1] ** 0.5).softmax(-1).transpose(1, 2)
        return self.resnet(f"{name}.mid.block_2", h + F.conv2d(y.reshape(h.shape), *self.take(f"{name}.mid.attn_1.proj_out")))

    def encode(self, x: Tensor) -> Tensor:
        h = F.conv2d(x, *self.take("encoder.conv_in"), padding=1)
        for level in range(self.levels):
            for j in range(self.blocks):
                h = self.resnet(f"encoder.down.{level}.block.{j}", h)
            if level < self.levels - 1:
                h = F.conv2d(F.pad(h, (0, 1, 0, 1)), *self.take(f"encoder.down.{level}.downsample.conv"), stride=2)
        h = F.silu(self.norm("encoder.norm_out", self.middle("encoder", h)))
        return F.conv2d(F.conv2d(h, *self.take("encoder.conv_out"), padding=1), *self.take("quant_conv"))

    def decode(self, z: Tensor, *, quantise: bool = True) -> Tensor:
        if quantise:
            book = self.state["first_stage_model.quantize.embedding.weight"]
            distances = (z[:, None] - book[None, :, :, None, None]).square().sum(2)
            z = book[distances.argmin(1)].movedim(-1, 1)
        h = self.middle("decoder", F.conv2d(F.conv2d(z, *self.take("post_quant_conv")), *self.take("decoder.conv_in"), padding=1))
        for level in reversed(range(self.levels)):
            for j in range(self.blocks + 1):
                h = self.resnet(f"decoder.up.{level}.block.{j}", h)
            if level > 0:
                h = h.repeat_interleave(2, -1).repeat_interleave(2, -2)
                h = F.conv2d(h, *self.take(f"decoder.up.{level}.upsample.conv"), padding=1)
        return F.conv2d(F.silu(self.norm("decoder.norm_out", h)), *self.take("decoder.conv_out"), padding=1)


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


EMA = averaged_name("out.2.bias")


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
