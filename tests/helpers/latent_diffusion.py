"""A latent diffusion model written down a second time: its keys and shapes, random weights, and what they compute."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

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


EMA = averaged_name("out.2.bias")
