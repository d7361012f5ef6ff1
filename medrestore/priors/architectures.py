"""Networks by their configuration: what a prior's `config.json` describes, built without its weights."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import InputError
from .ncsnpp import NCSNpp

Config = dict[str, Any]


class Output(Protocol):
    """The output of a diffusers network."""

    sample: Tensor


DEEPEST = 64  # levels of a network, and blocks of a level; published ones have 7 and 4
REPEATED = ("layers_per_block", "num_res_blocks", "blocks", "transformer_num_layers")  # of modules, in a configuration


def tensor_of(out: Tensor | Output) -> Tensor:
    """The tensor of a network's output."""
    return out if isinstance(out, Tensor) else out.sample


def configuration(net: torch.nn.Module) -> Mapping[str, Any]:
    """The configuration of a diffusers network."""
    config: Any = net.config
    return dict(config)


def _module(net: Any) -> torch.nn.Module:
    """A network of an untyped library."""
    if not isinstance(net, torch.nn.Module):
        raise TypeError(f"a {type(net).__name__} is no module of torch")
    return net


def _unet2d(config: Config) -> torch.nn.Module:
    """A diffusers `UNet2DModel`, and three things that its own configuration cannot say.

    `num_heads` splits every attention into that many heads, whatever its width, and `num_heads_upsample` those on the way up
    into another number; `time_channels` is the number of sines and
    cosines of the time, where that is not the width of the first level. None changes what follows it.
    """
    from diffusers import UNet2DModel
    from diffusers.models.attention_processor import Attention
    from diffusers.models.embeddings import TimestepEmbedding, Timesteps

    num_heads, time_channels = config.pop("num_heads", None), config.pop("time_channels", None)
    number_up = config.pop("num_heads_upsample", num_heads)
    net: Any = UNet2DModel(**config)  # diffusers has no types of its modules
    if num_heads is not None:
        for name, module in net.named_modules():
            if isinstance(module, Attention):
                number = number_up if name.startswith("up_blocks.") else num_heads
                if module.inner_dim % number != 0:
                    raise ValueError(f"an attention of {module.inner_dim} channels cannot have {number} heads")
                module.heads = module.sliceable_head_dim = number
                module.scale = (module.inner_dim // number) ** -0.5
    if time_channels is not None:
        net.time_proj = Timesteps(time_channels, net.config.flip_sin_to_cos, net.config.freq_shift)
        net.time_embedding = TimestepEmbedding(time_channels, net.config.time_embedding_dim)
    return _module(net)


def _monai(config: Config) -> torch.nn.Module:
    from monai.networks.nets import DiffusionModelUNet

    return DiffusionModelUNet(**config)


def _vq(config: Config) -> torch.nn.Module:
    from diffusers import VQModel

    return _module(VQModel(**config))


BUILDERS: dict[str, Callable[[Config], torch.nn.Module]] = {  # by `_class_name`; each is given the rest of the configuration
    "UNet2DModel": _unet2d,
    "DiffusionModelUNet": _monai,
    "NCSNpp": lambda config: NCSNpp(**config),
    "VQModel": _vq,
}


def _check_depth(config: Config) -> None:
    """Refuses a network of more modules than anyone would train: making them would take for ever, also without weights."""
    for key, value in config.items():
        numbers = value if isinstance(value, list | tuple) else [value]
        if len(numbers) > DEEPEST or (key in REPEATED and any(isinstance(n, int) and n > DEEPEST for n in numbers)):
            raise InputError(f"a network with {key} {str(value)[:40]} cannot be made here: levels, and blocks of a level, are at "
                             f"most {DEEPEST}")


def build(config: Config) -> torch.nn.Module:
    """The network of a configuration, `_class_name` saying which; its call is `(x, t) -> output`.

    It is also called under `torch.device("meta")`, where nothing is allocated and the weights are put in afterwards: all that
    a network holds has to stand in its state dict, or be made in `forward`.

    Raises:
        InputError: an unknown class, or a network of absurd depth.
        Exception: whatever the class says of a configuration it cannot take.
    """
    name = config.get("_class_name")
    _check_depth(config)
    if name not in BUILDERS:
        raise InputError(f"there is no network {name!r} here; known are {', '.join(BUILDERS)}")
    return BUILDERS[name]({key: value for key, value in config.items() if not key.startswith("_")})
