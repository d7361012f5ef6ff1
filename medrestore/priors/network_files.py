"""Networks as files: diffusers' configuration and safetensors, checked against their hashes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ..errors import InputError, first_line
from ..files import digest
from .architectures import build_network, configuration
from .check import not_finite
from .descriptions import read_json_text
from .tensors import write_tensors

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
CONFIG = "unet/config.json"
LARGEST_WEIGHTS = 8 * 2**30  # bytes


def write_network(folder: Path, net: torch.nn.Module, config: Mapping[str, Any] | None,
                   dtype: torch.dtype | None = None) -> str:
    """Writes a network, and returns the sha256 of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = write_tensors(folder / Path(WEIGHTS).name, net.state_dict(), dtype=dtype)
    said = dict(configuration(net) if config is None else config)
    said.setdefault("_class_name", type(net).__name__)
    (folder / Path(CONFIG).name).write_text(json.dumps(said, indent=2, default=list) + "\n")
    return sha256


def network_config(folder: Path, part: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a network in a folder, which must be the one that was written."""
    path, hashes = folder / part / Path(CONFIG).name, about.get("config_sha256", {})
    values = _read_json(path, folder)
    if hashes and digest(path) != hashes.get(part):
        raise InputError(f"{path} was altered after it was written (its sha256 differs); copy the prior again")
    return values


def _read_json(path: Path, folder: Path) -> dict[str, Any]:
    try:
        values = json.loads(read_json_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder} cannot be loaded: {path.relative_to(folder)} is missing or not readable JSON; "
                         "copy the prior again") from error
    if not isinstance(values, dict):
        raise InputError(f"{folder} cannot be loaded: {path.relative_to(folder)} is no JSON object; copy the prior again")
    return values


def checked_weights(folder: Path, weights: str, sha256: str, kind: str, described: str) -> Path:
    """The file of weights in a folder, refused where it is missing, too large, or not the one that was described.

    Args:
        kind: what the folder holds, and `described` the file in it that states the hash, for messages.
    """
    path = folder / weights
    if not path.is_file():
        raise InputError(f"{folder} has no {weights}; a {kind} needs its weights as safetensors, copy it again")
    if path.stat().st_size > LARGEST_WEIGHTS:
        raise InputError(f"{path} is larger than {LARGEST_WEIGHTS >> 30} GiB, more than any known {kind}")
    if digest(path) != sha256:
        raise InputError(f"{path} is not the file that {described} describes (its sha256 differs); copy the {kind} again")
    return path


def read_network(folder: Path, weights: str, config: dict[str, Any], sha256: str) -> torch.nn.Module:
    """The network of a configuration with the weights of a file, strictly; nothing is allocated that the file does not hold."""
    path = checked_weights(folder, weights, sha256, "prior", "prior.json")
    try:
        with torch.device("meta"):
            net = build_network(config)
        tensors = {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}
        if (broken := not_finite(tensors)) is not None:
            raise InputError(f"{path}: {broken} holds NaN or infinity, so it is no trained network; "
                             "take another snapshot of that run")
        net.load_state_dict(tensors, strict=True, assign=True)
    except InputError:
        raise
    except Exception as error:  # whatever the libraries say of a broken file
        raise InputError(f"{folder} cannot be loaded as a {config['_class_name']} ({first_line(error)}); "
                         "copy the prior again") from error
    return net.requires_grad_(False)


def device_of(device: torch.device | str) -> torch.device:
    """A device by its name."""
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InputError(f"{device!r} names no device; give cpu, cuda, cuda:1, mps or xpu") from error
