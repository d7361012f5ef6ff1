"""MONAI: a bundle whose network is a `DiffusionModelUNet`, or the state dict of one.

The architecture is read off the tensors in any case; what no tensor tells (heads, groups, the schedule, the value range) comes
from the bundle or from the user.
"""

import itertools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import InputError
from ...files import files_in
from ..parametrisations import Epsilon, Sample, VariancePreserving, Velocity
from .base import Converted, FolderFamily, assumed, filled_network, number, only, stated_recipe, whole
from .bundle import DEFAULTS, SCHEDULING, bundle_facts
from .checkpoint import CheckpointView, choose_view, is_averaged, noted, read_views
from .shapes import shape_of

NAME = "MONAI DiffusionModelUNet"
PREDICTIONS: dict[str, type[VariancePreserving]] = {"epsilon": Epsilon, "v_prediction": Velocity, "sample": Sample}
SCHEDULES = ("linear_beta", "scaled_linear_beta", "sigmoid_beta", "cosine")
BEFORE = {"linear": "linear_beta", "scaled_linear": "scaled_linear_beta", "sigmoid": "sigmoid_beta"}  # in MONAI Generative
UNTOLD = ("num_head_channels", "norm_num_groups", "norm_eps", "upcast_attention")  # arguments of the network in no tensor
SHAPED = ("spatial_dims", "in_channels", "out_channels", "channels", "num_res_blocks", "attention_levels", "resblock_updown")
IRRELEVANT = ("use_flash_attention", "dropout_cattn", "transformer_num_layers", "include_fc", "use_combined_linear",
              "num_class_embeds", "cross_attention_dim", "with_conditioning")  # of memory, of training, or said by the tensors
OLD = (  # names of MONAI Generative
    (re.compile(r"(attentions?(?:\.\d+)?)\.to_([qkv])\."), r"\1.attn.to_\2."),
    (re.compile(r"\.upsampler\.conv\."), ".upsampler.postconv."),
)
UNUSED = re.compile(r"\.attentions?(?:\.\d+)?\.proj_attn\.(?:weight|bias)$")


class MonaiUNet(FolderFamily):
    """`conv_in.conv.*`, `time_embed.*`, `{down,up}_blocks.*`, `middle_block.*`, `out.*`."""

    name = NAME
    signature = ("conv_in.conv.weight", "time_embed.0.weight", "middle_block.resnet_1.norm1.weight", "out.2.conv.weight")
    takes = (*UNTOLD, *SCHEDULING, "low", "high", "quantile")

    def opens(self, folder: Path) -> bool:
        """Whether the folder is a bundle."""
        return (folder / "configs").is_dir()

    def read(self, folder: Path) -> tuple[CheckpointView, dict[str, Any]]:
        """The weights of a bundle and what its configuration says of them."""
        facts = bundle_facts(folder)
        candidates = files_in(folder / "models", (".pt", ".pth", ".safetensors")) if (folder / "models").is_dir() else []
        averaged = [path for path in candidates if is_averaged(path.stem)]
        models = averaged or [path for path in candidates if path.stem == "model"] or candidates
        if len(models) != 1:
            raise InputError(f"{folder}/models holds {', '.join(path.name for path in models) or 'no weights'}; leave the one "
                             "file of this network there, as model.pt or model.safetensors")
        chosen = choose_view(read_views(models[0]), lambda view: self.recognises(view.shapes))
        if chosen is not None:
            return noted(chosen, models[0], candidates), facts
        raise InputError(f"{models[0]} holds no DiffusionModelUNet, which the bundle's configuration names; "
                         "take the bundle from its source again")

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        """The network of this state dict; see `Family`."""
        only(given, (*self.takes, *SHAPED, *IRRELEVANT), NAME)
        state, unused = without_unused({modern_key(key): value for key, value in state.items()})
        config = {"_class_name": "DiffusionModelUNet", **_architecture(state), **_untold(given)}
        for key in SHAPED:
            if key in given and _plain_argument(given[key], key, config) != config[key]:
                raise InputError(f"{key} is said to be {given[key]}, and the tensors are those of a network with {config[key]}; "
                                 "these weights belong to another configuration")
        kind, said = _target(given)
        channels = config["in_channels"]
        if config["out_channels"] not in (channels, 2 * channels):
            raise InputError(f"this network takes {channels} channels and gives {config['out_channels']}: it needs a second "
                             "image beside the noisy one, and a prior takes none")
        return Converted(
            NAME, config, filled_network(config, state, NAME), kind, stated_recipe(channels, given, unit_interval=False),
            channels,
            multiple=2 ** (len(config["channels"]) - 1),
            about={
                "schedule": said, "learned variance": config["out_channels"] > channels,
                "attention at levels": [i for i, here in enumerate(config["attention_levels"]) if here] or "the middle alone",
                "groups": config["norm_num_groups"],
                **({"left out": f"proj_attn of {unused} attentions, which MONAI Generative makes and never applies"}
                   if unused else {}),
                **assumed(given, norm_num_groups=config["norm_num_groups"], norm_eps=config["norm_eps"],
                          upcast_attention=config["upcast_attention"]),
            },
        )


def without_unused(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """The state dict without what MONAI Generative makes and its own forward never uses, and how many layers that are.

    Its `AttentionBlock` has a layer `proj_attn`, whose place in MONAI (`attn.out_proj`) is applied: filled with it, the
    network would be another one.
    """
    unused = {key for key in state if UNUSED.search(key)}
    for key in unused:
        norm, value = f"{key.rpartition('.proj_attn.')[0]}.norm.weight", state[key]
        if norm not in state or any(n != len(state[norm]) for n in value.shape) or value.ndim != 1 + key.endswith("weight"):
            raise InputError(f"this is nearly {NAME}, but {key} is {tuple(value.shape)}, which no attention of it has; "
                             "take the file that the network was published in")
    return {key: value for key, value in state.items() if key not in unused}, sum(key.endswith("weight") for key in unused)


def modern_key(key: str) -> str:
    """A key of MONAI Generative as MONAI has it since it took the network over."""
    for old, new in OLD:
        key = old.sub(new, key)
    return key


def _architecture(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What `DiffusionModelUNet` needs to know of this network, from the shapes of its tensors."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}

    def shape(key: str, axes: int = 4) -> tuple[int, ...]:
        return shape_of(shapes, key, axes, NAME)

    if len(shapes.get("conv_in.conv.weight", ())) == 5:
        raise InputError("this network is of volumes, and priors here are of images; convert one with spatial_dims 2")
    if any(".transformer_blocks." in key for key in state):
        raise InputError("this network is conditioned by cross-attention, and a prior has nothing to tell; "
                         "convert one that was trained with_conditioning=False")
    found = [re.fullmatch(r"down_blocks\.(\d{1,2})\.resnets\.(\d{1,2})\.norm1\.weight", key) for key in state]
    places = sorted({(int(one[1]), int(one[2])) for one in found if one})
    levels = 1 + max((level for level, _ in places), default=-1)
    width, in_channels, *_ = shape("conv_in.conv.weight")
    keys = "\n".join(state)
    return {
        "spatial_dims": 2, "in_channels": in_channels, "out_channels": shape("out.2.conv.weight")[0],
        "channels": [shape(f"down_blocks.{i}.resnets.0.conv1.conv.weight")[0] for i in range(levels)] or [width],
        "num_res_blocks": [sum(level == i for level, _ in places) for i in range(levels)],
        "attention_levels": [f"down_blocks.{i}.attentions.0." in keys for i in range(levels)],
        "resblock_updown": "downsampler.conv1." in keys, "use_combined_linear": ".attn.qkv." in keys,
        "include_fc": ".attn.out_proj." in keys,
        "num_class_embeds": shape("class_embedding.weight", 2)[0] if "class_embedding.weight" in state else None,
    }


def _untold(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the network that no tensor tells."""
    heads = given.get("num_head_channels")
    if heads is None:
        raise InputError("no tensor tells how wide the heads of its attention are; give num_head_channels=64, "
                         "as the configuration of its training says")
    if not all(type(one) is int and one >= 0 for one in (heads if isinstance(heads, list) else [heads])):
        raise InputError(f"num_head_channels must be a whole number or a list of one for every level, got {heads!r}")
    upcast = given.get("upcast_attention", False)
    if not isinstance(upcast, bool):
        raise InputError(f"upcast_attention must be true or false, got {upcast!r}")
    eps = number(given, "norm_eps", 1e-6)
    if eps <= 0:
        raise InputError(f"norm_eps must be positive, got {eps:g}")
    return {"num_head_channels": heads, "norm_num_groups": whole(given, "norm_num_groups") or 32, "norm_eps": eps,
            "upcast_attention": upcast}


def _plain_argument(value: Any, key: str, config: Mapping[str, Any]) -> Any:
    """A stated argument in the form in which the tensors tell it: one number for all levels becomes a list."""
    if key == "num_res_blocks" and type(value) is int:
        return [value] * len(config["channels"])
    return list(value) if isinstance(value, tuple) else value


def _target(given: Mapping[str, Any]) -> tuple[VariancePreserving, str]:
    """What is predicted, on which schedule."""
    missing = [key for key in DEFAULTS if key not in given]
    if missing:
        raise InputError(f"no tensor tells the {', '.join(missing)} of its training; give for example "
                         + ", ".join(f"{key}={DEFAULTS[key]}" for key in missing))
    kind, prediction, steps = given["schedule"], given["prediction_type"], whole(given, "num_train_timesteps")
    kind = BEFORE.get(kind, kind) if isinstance(kind, str) else kind
    if kind not in SCHEDULES or prediction not in PREDICTIONS or steps is None or not 2 <= steps <= 100_000:
        raise InputError(f"known are the schedules {', '.join(SCHEDULES)}, the predictions {', '.join(PREDICTIONS)} and 2 to "
                         f"100000 steps, got {kind!r}, {prediction!r} and {steps}")
    values = monai_betas(kind, steps, given)
    if not all(0 < beta < 1 for beta in values):
        raise InputError(f"betas must lie between 0 and 1, and those of {kind} with these numbers do not; look at beta_start and "
                         "beta_end")
    ends = "" if kind == "cosine" else f" {values[0]:g} to {values[-1]:g}"
    return PREDICTIONS[prediction](values), f"{kind}{ends}, {steps} steps, predicts {prediction}"


def monai_betas(kind: str, steps: int, given: Mapping[str, Any]) -> tuple[float, ...]:
    """The schedules that MONAI knows by name, in their formulas.

    Args:
        kind: one of `SCHEDULES`.
        given: beta_start and beta_end, sig_range of the sigmoid, s of the cosine (Nichol & Dhariwal, ICML 2021, eq. 17).
    """
    start, end = number(given, "beta_start", 1e-4), number(given, "beta_end", 0.02)
    if kind == "cosine":
        offset = number(given, "s", 8e-3)
        abar = [math.cos((i / steps + offset) / (1 + offset) * math.pi / 2) ** 2 for i in range(steps + 1)]
        return tuple(min(1 - after / before, 0.999) for before, after in itertools.pairwise(abar))
    ramp = [i / (steps - 1) for i in range(steps)]
    if kind == "scaled_linear_beta":
        low, high = max(start, 0.0) ** 0.5, max(end, 0.0) ** 0.5
        return tuple((low + (high - low) * at) ** 2 for at in ramp)
    if kind == "sigmoid_beta":
        reach = number(given, "sig_range", 6.0)
        if abs(reach) > 500:
            raise InputError(f"sig_range must be a number like 6, got {reach:g}")
        return tuple(start + (end - start) / (1 + math.exp(-reach * (2 * at - 1))) for at in ramp)
    return tuple(start + (end - start) * at for at in ramp)


FAMILY = MonaiUNet()
