"""Folders of diffusers: a `UNet2DModel` pipeline, or its `unet/` alone with the scheduler beside it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import InputError
from ..parametrisations import Epsilon, Sample, VariancePreserving, Velocity
from ..unet import ARGUMENTS, OWN
from .base import RANGE, Converted, Shapes, assumed, filled_network, only, some, stated_betas, stated_recipe, whole
from .checkpoint import CheckpointView, State, is_averaged, noted, read_views
from .load import printable

LARGEST_JSON = 1 << 20  # bytes; configurations have some kilobytes
STEM = "diffusion_pytorch_model"  # of all files of weights; a variant such as fp16 stands behind it
SUFFIXES = (".safetensors", ".bin")
MOST_SHARDS = 256
AVERAGING = {"decay", "min_decay", "optimization_step", "update_after_step", "use_ema_warmup", "inv_gamma", "power",
             "num_updates", "ema_decay"}  # what diffusers' EMAModel writes into the configuration of the network
SCHEDULERS = {  # samplers of a variance-preserving schedule of betas
    "DDPMScheduler", "DDIMScheduler", "DDIMInverseScheduler", "PNDMScheduler", "LMSDiscreteScheduler", "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler",
    "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler",
    "DDPMParallelScheduler", "DDIMParallelScheduler", "RePaintScheduler",
}
PREDICTIONS: dict[str, type[VariancePreserving]] = {"epsilon": Epsilon, "v_prediction": Velocity, "sample": Sample}
KINDS = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}
OLDER = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}  # names of attention before diffusers 0.15


def json_file(path: Path) -> dict[str, Any]:
    """A JSON object of plain data.

    Raises:
        InputError: missing, too large, or something else.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise InputError(f"{path} is larger than 1 MiB, which no configuration is; take it from the source again")
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); take the whole folder from its source") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON; take it from the source again") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds no JSON object; take it from the source again")
    return values


def checked_unet(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The configuration of a `UNet2DModel`, unless it embeds the noise level or the class in an unknown way.

    Raises:
        InputError: it does.
    """
    if config.get("time_embedding_type", "positional") != "positional" or config.get("class_embed_type") is not None:
        raise InputError("this UNet2DModel embeds the noise level or the class in a way of its own "
                         f"({config.get('time_embedding_type')}, {config.get('class_embed_type')}); positional "
                         "embeddings of the timestep and numbers of classes are known")
    return config


class DiffusersFolder:
    """The family: its configuration gives all but the value range."""

    name = "diffusers folder"
    signature = ()
    takes = (*RANGE, "schedule", "beta_start", "beta_end", "steps", "prediction", "image_size")

    def opens(self, folder: Path) -> bool:
        """Whether the folder is a pipeline, or the network of one."""
        return any((folder / name).is_file() for name in ("model_index.json", "unet/config.json", "config.json"))

    def read(self, folder: Path) -> tuple[CheckpointView, dict[str, Any]]:
        """The weights, averaged ones first, and the configurations of network and scheduler."""
        networks = networks_in(folder)
        unet = networks[0]
        config = json_file(unet / "config.json")
        if config.get("_class_name") != "UNet2DModel":
            raise InputError(f"{unet}/config.json describes {config.get('_class_name')!r}; of diffusers, pipelines of an "
                             "unconditional UNet2DModel are priors (text-conditioned and latent ones are not)")
        places = [place / "scheduler_config.json" for place in (folder / "scheduler", unet.parent / "scheduler", folder)]
        scheduler = next((place for place in places if place.is_file()), None)
        facts = {"config": config, "scheduler": json_file(scheduler) if scheduler else None}
        return noted(weights_of(unet), unet, networks), facts

    def recognises(self, shapes: Shapes) -> bool:
        """Never: a bare file of these keys does not say how it is wired."""
        return False

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        """The network of this folder; see `Family`."""
        config, scheduler = dict(given["config"]), given["scheduler"]
        stated = {key: value for key, value in given.items() if key not in ("config", "scheduler")}
        only(stated, self.takes, self.name)
        checked_unet(config)
        made = settings_of(config) | {"_class_name": "UNet2DModel"}
        net = filled_network(made, modern_attention(state), self.name)
        channels = _channel_count(config, "in_channels")
        kind, said = target(scheduler, stated)
        return Converted(
            self.name, made, net, kind, stated_recipe(channels, stated, unit_interval=channels in (1, 3)), channels,
            2 ** (len(made.get("down_block_types", (0,) * 4)) - 1),
            about={"schedule": said, "learned variance": config.get("out_channels", 3) > channels,
                   "trained at": whole(stated, "image_size") or config.get("sample_size") or "not stated",
                   **assumed(stated, low=0, high=1)},
        )


def networks_in(folder: Path) -> list[Path]:
    """The folders of a pipeline, or of a training run of diffusers, that hold its network: averaged weights first.

    `train_unconditional.py` leaves `unet` and `unet_ema`; a folder of one network is its own only one.
    """
    inside = [path.parent for path in sorted(folder.glob("*/config.json"))
              if path.parent.name == "unet" or json_file(path).get("_class_name") == "UNet2DModel"]
    if not inside:
        return [folder]
    return sorted(inside, key=lambda path: (not is_averaged(path.name), path.name != "unet"))


def weights_of(folder: Path) -> CheckpointView:
    """The tensors of a network in a folder: one file, a variant such as fp16, or shards that an index lists.

    Raises:
        InputError: no weights, several variants without a plain file, or shards that miss.
    """
    files = [path for path in sorted(folder.glob(f"{STEM}*")) if path.is_file()]
    indexes = [path for path in files if path.name.endswith(".index.json")]
    listed = {name for index in indexes for name in _shards(index)}
    whole_files = [path for path in files if path.suffix in SUFFIXES and path.name not in listed]
    sets = sorted([*whole_files, *indexes], key=lambda path: (_weights_variant(path) != "", _suffix_rank(path)))
    if not sets:
        there = some(path.name for path in sorted(folder.iterdir())) or "nothing"
        raise InputError(f"{folder} holds no {STEM}.safetensors, .bin, variant or index of shards; it holds {there}; "
                         "take the whole folder from its source")
    variants = sorted({_weights_variant(path) for path in sets})
    if "" not in variants and len(variants) > 1:
        raise InputError(f"{folder} holds weights in the variants {', '.join(variants)} and none without; copy the one that is "
                         f"wanted to {STEM}{sets[0].suffix if sets[0] in whole_files else '.safetensors'} there")
    taken = sets[0]
    found = _loaded_shards(folder, _shards(taken)) if taken in indexes else CheckpointView(read_views(taken)[0].state)
    if _weights_variant(taken):
        found = CheckpointView(found.state, (f"the variant {printable(_weights_variant(taken))} taken", *found.notes))
    return noted(found, taken, [path for path in sets if _weights_variant(path) != _weights_variant(taken) or path == taken])


def _weights_variant(path: Path) -> str:
    """`fp16` of diffusion_pytorch_model.fp16.safetensors; empty for the plain file."""
    name = path.name.removesuffix(".index.json")
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name.removeprefix(STEM).strip(".")


def _suffix_rank(path: Path) -> int:
    name = path.name.removesuffix(".index.json")
    return next((rank for rank, suffix in enumerate(SUFFIXES) if name.endswith(suffix)), len(SUFFIXES))


def _shards(index: Path) -> list[str]:
    """The files that an index of shards names, each once; names that lead out of the folder are refused."""
    table = json_file(index).get("weight_map")
    names = sorted({str(name) for name in table.values()}) if isinstance(table, dict) else []
    if not 0 < len(names) <= MOST_SHARDS or not all(
        name.startswith(STEM) and name.endswith(SUFFIXES) and not set(name) & set("/\\\0") for name in names
    ):
        raise InputError(f"{index} is no index of shards; take the whole folder from its source")
    return names


def _loaded_shards(folder: Path, names: Sequence[str]) -> CheckpointView:
    """The tensors of all shards; which ones there have to be is checked against the network later."""
    state: State = {}
    for name in names:
        if not (folder / name).is_file():
            raise InputError(f"{folder} lacks {printable(name)}, one of {len(names)} shards of its weights; take the whole "
                             "folder from its source")
        shard = read_views(folder / name)[0].state
        twice = state.keys() & shard.keys()
        if twice:
            raise InputError(f"{folder / name} holds {some(sorted(twice))}, which another shard holds too; take the whole folder "
                             "from its source")
        state |= shard
    return CheckpointView(state, (f"{len(names)} shards joined",))


def settings_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `UNet2DModel` in a configuration, without what diffusers writes beside them.

    Raises:
        InputError: an argument that is in use and that the network does not have here.
    """
    given = {key: value for key, value in config.items() if not key.startswith("_") and key not in AVERAGING}
    known = set(ARGUMENTS) - set(OWN)
    unknown = [key for key, value in given.items() if key not in known and value not in (None, False)]
    if unknown:
        raise InputError(f"its config.json sets {some(unknown)}, which no UNet2DModel is built with here; "
                         "a network that depends on it cannot be a prior")
    return {key: value for key, value in given.items() if key in known}


def target(scheduler: Mapping[str, Any] | None, given: Mapping[str, Any]) -> tuple[VariancePreserving, str]:
    """What a network predicts on which schedule, and the schedule in words.

    Args:
        scheduler: its configuration, `_class_name` included; None where there is none.
        given: what a user states in its place (`prediction`, `schedule`, `beta_start`, `beta_end`, `steps`).

    Raises:
        InputError: an unknown scheduler, prediction or schedule.
    """
    if scheduler is None:
        if "prediction" not in given or "schedule" not in given:
            raise InputError("there is no scheduler_config.json beside this network; give its folder too, or "
                             "prediction=epsilon and schedule=linear, as it was trained")
        scheduler = {"_class_name": "DDPMScheduler"}
    name = scheduler.get("_class_name")
    if name not in SCHEDULERS or scheduler.get("rescale_betas_zero_snr"):
        what = f"{name!r}" if name not in SCHEDULERS else "rescale_betas_zero_snr"
        raise InputError(f"the scheduler says {what}, and only schedules of betas such as DDPMScheduler's are known; "
                         "a network that was trained on another is no prior")
    prediction = given.get("prediction", scheduler.get("prediction_type", "epsilon"))
    if prediction not in PREDICTIONS:
        raise InputError(f"the network predicts {prediction!r}, and {', '.join(PREDICTIONS)} are known; "
                         "give prediction if the scheduler's configuration is wrong")
    values, said = _betas(scheduler, given)
    return PREDICTIONS[prediction](values), said


def _betas(scheduler: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[tuple[float, ...], str]:
    """The scheduler's betas, with what a user states in place of it."""
    trained = scheduler.get("trained_betas")
    if trained is not None and "schedule" not in given:
        if not isinstance(trained, list | tuple) or not 2 <= len(trained) <= 100_000 or not all(
            isinstance(beta, float) and 0 < beta < 1 for beta in trained
        ):
            raise InputError("trained_betas of the scheduler must be a list of numbers between 0 and 1; "
                             "take it from the source again")
        return tuple(trained), f"{len(trained)} betas of its own"
    kind = scheduler.get("beta_schedule", "linear")
    if kind not in KINDS and "schedule" not in given:
        raise InputError(f"the scheduler's betas are {kind!r}, and {', '.join(KINDS)} are known; "
                         "give schedule if that is another name for one of them")
    said = {"schedule": KINDS.get(kind), "steps": scheduler.get("num_train_timesteps", 1000),
            "beta_start": scheduler.get("beta_start", 1e-4), "beta_end": scheduler.get("beta_end", 0.02)}
    said |= {key: value for key, value in given.items() if key in said}
    return stated_betas(said)


def _channel_count(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key, 3)
    if type(value) is not int or value < 1:
        raise InputError(f"config.json gives {value!r} as {key}, which must be a whole number of at least 1; "
                         "take it from the source again")
    return value


def modern_attention(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by today's names of attention."""
    tensors: dict[str, Tensor] = {}
    for key, value in state.items():
        *path, last, kind = ("", "", *key.split("."))
        if last in OLDER and ".attentions." in key:
            key = ".".join((*path[2:], OLDER[last], kind))
        tensors[key] = value
    return tensors


FAMILY = DiffusersFolder()
