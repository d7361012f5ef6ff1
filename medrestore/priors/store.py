"""Priors on disk: a diffusers folder and `prior.json`, tensors and plain data only."""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ..codecs import CalibratedComplex, Interval, Recipe
from ..errors import InputError
from .network import EDM, Epsilon, NetworkPrior, Parametrisation, Sample, Velocity

FORMAT = 1
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
CONFIG = "unet/config.json"
PARAMETRISATIONS: dict[str, type[Parametrisation]] = {"edm": EDM, "epsilon": Epsilon, "velocity": Velocity, "sample": Sample}
RECIPES: dict[str, type[Interval] | type[CalibratedComplex]] = {"interval": Interval, "calibrated_complex": CalibratedComplex}
FIELDS = {"format", "parametrisation", "recipe", "channels", "multiple", "sha256"}  # of prior.json, besides its card
LARGEST_WEIGHTS = 8 * 2**30  # bytes


def save(folder: Path, net: torch.nn.Module, *, parametrisation: Parametrisation, recipe: Recipe, channels: int,
         multiple: int, card: dict[str, Any]) -> None:
    """Writes a diffusers `UNet2DModel` and what a prior must say of itself.

    Args:
        folder: made when missing; `unet/config.json`, `unet/diffusion_pytorch_model.safetensors` and `prior.json` go there.
        card: training data, licence and whatever else a user should know; shown by `medrestore inspect`.
    """
    (folder / "unet").mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / CONFIG).write_text(json.dumps(net.config, indent=2, default=list) + "\n")
    about = {
        "format": FORMAT,
        "parametrisation": {"kind": _name(PARAMETRISATIONS, parametrisation), **asdict(parametrisation)},
        "recipe": {"kind": _name(RECIPES, recipe), **asdict(recipe)},
        "channels": channels,
        "multiple": multiple,
        "sha256": digest(folder / WEIGHTS),
        "card": card,
    }
    (folder / "prior.json").write_text(json.dumps(about, indent=2) + "\n")


def _name(kinds: dict[str, Any], instance: object) -> str:
    return next(name for name, kind in kinds.items() if type(instance) is kind)


def digest(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shipped() -> dict[str, Path]:
    """The priors that come with the package, by name."""
    from importlib.resources import files

    root = Path(str(files("medrestore.data"))) / "priors"
    return {folder.name: folder for folder in sorted(root.iterdir()) if (folder / "prior.json").is_file()}


def find(name: str | Path) -> Path:
    """The folder of a prior: a path, or the name of a shipped one."""
    path = Path(name)
    if (path / "prior.json").is_file():
        return path
    if str(name) in (known := shipped()):
        return known[str(name)]
    if path.is_file():
        raise InputError(f"{path} is a file, and a prior is a folder with prior.json and unet/; "
                         "bare checkpoints, pickled ones above all, are not loaded")
    raise InputError(f"no prior at {path}: give a folder that holds prior.json, or one of {', '.join(known) or 'none shipped'}")


def describe(name: str | Path) -> dict[str, Any]:
    """`prior.json` of a prior, checked for its fields.

    Raises:
        InputError: no such prior, or a description that cannot be read.
    """
    path = find(name) / "prior.json"
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({_first_line(error)}); "
                         "restore it from where the prior came from") from error
    missing = FIELDS - set(about) if isinstance(about, dict) else FIELDS
    if missing or about["format"] != FORMAT:
        raise InputError(f"{path} lacks {', '.join(sorted(missing)) or f'format {FORMAT}'}; it is not a prior of this version")
    for field in ("channels", "multiple"):
        if type(about[field]) is not int or about[field] < 1:
            raise InputError(f"{path} gives {about[field]!r} as {field}, which must be a whole number of at least 1; "
                             "restore it from where the prior came from")
    return about


def load(name: str | Path, *, device: torch.device | str = "cpu", bf16: bool = False) -> NetworkPrior:
    """A prior by folder or by the name of a shipped one, checked against its hash.

    Args:
        device: where the network runs.
        bf16: compute in bfloat16 inside the network.

    Raises:
        InputError: missing, truncated, altered or mismatching files, each in one sentence.
    """
    folder = find(name)
    about = describe(folder)
    parametrisation = _build(PARAMETRISATIONS, about["parametrisation"], folder)
    recipe = _build(RECIPES, about["recipe"], folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise InputError(f"{folder} has no {WEIGHTS}; a prior needs its weights as safetensors")
    if weights.stat().st_size > LARGEST_WEIGHTS:
        raise InputError(f"{weights} is larger than {LARGEST_WEIGHTS >> 30} GiB, more than any known prior")
    if digest(weights) != about["sha256"]:
        raise InputError(f"{weights} is not the file that prior.json describes (its sha256 differs); copy the prior again")
    from diffusers import UNet2DModel

    try:
        config = json.loads((folder / CONFIG).read_text())
        net = UNet2DModel.from_config({key: value for key, value in config.items() if not key.startswith("_")})
        net.load_state_dict(load_file(weights), strict=True)
    except Exception as error:  # whatever the three libraries say of a broken file
        raise InputError(f"{folder} cannot be loaded as a diffusers UNet2DModel ({_first_line(error)}); "
                         "copy the prior again") from error
    if net.config.in_channels != about["channels"]:
        raise InputError(f"{folder}/prior.json speaks of {about['channels']} channels and {CONFIG} of {net.config.in_channels}; "
                         "copy the prior again")
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    net = net.to(device, memory_format=torch.channels_last)
    return NetworkPrior(net, parametrisation, channels=about["channels"], multiple=about["multiple"], recipe=recipe, bf16=bf16)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _build(kinds: dict[str, Any], values: Any, folder: Path) -> Any:
    """The parametrisation or recipe that `values` describes: a kind and its numbers."""
    try:
        arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key != "kind"}
        for value in arguments.values():
            for number in value if isinstance(value, tuple) else (value,):
                math.isfinite(number)
        built = kinds[values["kind"]](**arguments)
        if isinstance(built, Parametrisation):
            low, high = built.sigma_range
            if not 0 < low < high < math.inf:
                raise ValueError("noise levels must be positive and increasing")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}/prior.json describes {values!r}, and only {', '.join(kinds)} with their numbers are known; "
                         "restore it from where the prior came from") from error
    return built
