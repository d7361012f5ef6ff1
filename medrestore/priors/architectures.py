"""Networks by their configuration: what a prior's `config.json` describes, built without its weights."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import InputError
from ..extras import extra
from .autoencoder import AutoencoderKL, VQModel
from .encoder import EncoderUNet
from .ncsnpp import NCSNpp
from .unet import UNet2DModel

Config = dict[str, Any]


class Output(Protocol):
    """The output of a network of diffusers itself."""

    sample: Tensor


DEEPEST = 64  # levels of a network, and blocks of a level; published ones have 7 and 4
REPEATED = ("layers_per_block", "num_res_blocks", "blocks", "transformer_num_layers")  # of modules, in a configuration


def tensor_of(out: Tensor | Output) -> Tensor:
    """The tensor of a network's output."""
    return out if isinstance(out, Tensor) else out.sample


def configuration(net: torch.nn.Module) -> Mapping[str, Any]:
    """The arguments a network was built with, of this package or of diffusers."""
    config: Any = net.config
    return dict(config)


def _monai(config: Config) -> torch.nn.Module:
    with extra("monai", "a network of MONAI"):
        import einops  # noqa: F401  # which MONAI asks for only when it runs
        from monai.networks.nets import DiffusionModelUNet
    net: torch.nn.Module = DiffusionModelUNet(**config)
    return net


BUILDERS: dict[str, Callable[[Config], torch.nn.Module]] = {  # by `_class_name`; each is given the rest of the configuration
    "UNet2DModel": lambda config: UNet2DModel(**config),
    "DiffusionModelUNet": _monai,
    "NCSNpp": lambda config: NCSNpp(**config),
    "EncoderUNet": lambda config: EncoderUNet(**config),
    "VQModel": lambda config: VQModel(**config),
    "AutoencoderKL": lambda config: AutoencoderKL(**config),
}


def _check_depth(config: Config) -> None:
    """Refuses a network of more modules than anyone would train: making them would take for ever, also without weights."""
    for key, value in config.items():
        numbers = value if isinstance(value, list | tuple) else [value]
        if len(numbers) > DEEPEST or (key in REPEATED and any(isinstance(n, int) and n > DEEPEST for n in numbers)):
            raise InputError(f"a network with {key} {str(value)[:40]} cannot be made here: levels, and blocks of a level, are at "
                             f"most {DEEPEST}")


def build_network(config: Config) -> torch.nn.Module:
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
