"""Priors on disk: a diffusers folder and `prior.json`, tensors and plain data only."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from .. import shipped
from ..codecs import Recipe
from ..errors import InputError, meant
from ..files import check_own, digest, is_empty_folder, new_folder, recover
from .classes import Classes, Label, described_classes
from .compiled import Compiled
from .descriptions import (
    DESCRIPTIONS,
    FORMAT,
    PARAMETRISATIONS,
    PRIOR,
    RECIPES,
    described_coordinates,
    is_count,
    kind_name,
    plain_numbers,
    read_description,
    sealed,
)
from .network import NetworkPrior
from .network_files import CONFIG, WEIGHTS, device_of, network_config, read_network, write_network
from .parametrisations import Parametrisation
from .symmetries import are_symmetries


def save(folder: Path, net: torch.nn.Module, *, parametrisation: Parametrisation, recipe: Recipe | None, channels: int,
         multiple: int, card: dict[str, Any], config: Mapping[str, Any] | None = None, size: tuple[int, int] | None = None,
         facts: Mapping[str, Any] | None = None, parts: Mapping[str, torch.nn.Module] | None = None, half: bool = False,
         file: str = PRIOR) -> None:
    """Writes a network and what a prior must say of itself.

    Args:
        folder: made when missing; `unet/config.json`, `unet/diffusion_pytorch_model.safetensors` and `prior.json` go there.
        recipe: None when whoever uses the prior brings the codec.
        card: training data and whatever else a user should know; shown by `medrestore inspect`.
        config: what `networks.build` needs to make the network again; its own `config` for one of diffusers.
        size: the only (height, width) it accepts, or None.
        facts: further entries of `prior.json` (family, licence, source, check), plain data.
        parts: further networks of diffusers that belong to it, by folder name.
        half: keep the weights of the network as float16, in half the space; they are read as float32 again.
        file: name of the description.
    """
    kind, said = kind_name(PARAMETRISATIONS, parametrisation), None if recipe is None else kind_name(RECIPES, recipe)
    dtype = torch.float16 if half else None
    sha256 = write_network(folder / "unet", net, config, dtype)
    hashes = {name: write_network(folder / name, part, None, dtype) for name, part in (parts or {}).items()}
    configs = {name: digest(folder / name / Path(CONFIG).name) for name in ("unet", *hashes)}
    about = {
        "format": FORMAT,
        "parametrisation": {"kind": kind, **plain_numbers(parametrisation)},
        "recipe": None if recipe is None else {"kind": said, **asdict(recipe)},
        "channels": channels,
        "multiple": multiple,
        "size": size,
        "sha256": sha256,
        "config_sha256": configs,
        **(facts or {}),
        "card": card,
    }
    if hashes:
        about["parts"] = hashes
    (folder / file).write_text(json.dumps(sealed(about), indent=2) + "\n")


def check_free(out: Path, *, replace: bool = False) -> None:
    """Refuses a place for a prior where something is, unless it is a prior that may be replaced.

    Raises:
        InputError: the place is taken.
    """
    if not out.exists() or is_empty_folder(out):
        return
    if not any((out / file).is_file() for file in DESCRIPTIONS):
        raise InputError(f"{out} exists and it is no prior; choose another output")
    if not replace:
        raise InputError(f"{out} exists already; pass `overwrite` to replace the prior, or choose another output")
    check_own(out)


@contextmanager
def new_prior(out: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder for the files of a prior, published as `out` at the end of the block.

    Args:
        replace: whether an older prior there is replaced, at the last moment.

    Raises:
        InputError: something is there that may not be replaced, or nothing can be written; nothing new is left.
    """
    recover(out)
    check_free(out, replace=replace)
    with new_folder(out, replace=out.exists()) as folder:
        yield folder


def find(name: str | Path) -> Path:
    """The folder of a prior: a path, or the name of a shipped one."""
    path = Path(name)
    if (path / PRIOR).is_file():
        return path
    if (known := shipped.prior(str(name))) is not None:
        return known
    if path.is_file():
        raise InputError(f"{path} is a file, and a prior is a folder with prior.json and unet/; "
                         "bare checkpoints, pickled ones above all, are not loaded")
    names = shipped.prior_names()
    raise InputError(f"no prior at {path}: give a folder that holds prior.json, or one of {', '.join(names)}{meant(name, names)}")


def describe(name: str | Path) -> dict[str, Any]:
    """`prior.json` of a prior, checked for its fields.

    Raises:
        InputError: no such prior, or a description that cannot be read.
    """
    return read_description(find(name) / PRIOR)


def classes_of(name: str | Path) -> Classes | None:
    """The classes of a prior, None where it has none.

    Raises:
        InputError: as `describe`, or a configuration that cannot be read.
    """
    about, folder = describe(name), find(name)
    return described_classes(about, network_config(folder, "unet", about), folder)


def load(name: str | Path, *, device: torch.device | str = "cpu", bf16: bool = False, compiled: bool = False,
         label: Label = None, conditioned: bool = False) -> NetworkPrior:
    """A prior by folder or by the name of a shipped one, checked against its hash.

    Args:
        device: where the network runs.
        bf16: compute in bfloat16 inside the network where the device does, as `NetworkPrior` says.
        compiled: have `torch.compile` make the network quicker, at the price of a minute or so at its first call for each size
            of image and batch; on a GPU as CUDA graphs. Where that fails the network runs as it is.
        label: the class for a class-conditional network, by name, or by number where its classes have no names; no other takes
            one. A network that was trained with labels left out does without, and then knows images of any class.
        conditioned: the caller sees to the further image that the network is given, as `latent.load` does; else a prior that
            needs one is refused.

    Raises:
        InputError: missing, truncated, altered or mismatching files, or a class that does not fit, each in one sentence.
    """
    folder = find(name)
    about = describe(folder)
    if (about.get("condition_channels") or about.get("latent")) and not conditioned:
        kind = "super-resolution prior that needs a low-resolution image" if about.get("condition_channels") else "prior of codes"
        raise InputError(f"{folder} is a {kind}, which scans, frames and windows cannot use; restore or generate images with "
                         "it, or open it by medrestore.priors.latent.load")
    parametrisation, recipe = described_coordinates(about, folder)
    config = {"_class_name": "UNet2DModel"} | network_config(folder, "unet", about)
    classes = described_classes(about, config, folder)
    class_label = _index(classes, label, folder)
    net = read_network(folder, WEIGHTS, config, about["sha256"])
    reference = reference_channels(about, folder)
    beside = about.get("condition_channels", 0) + (reference + 1 if reference else 0)
    if config.get("in_channels", about["channels"]) != about["channels"] + beside:
        raise InputError(f"{folder}/prior.json speaks of {about['channels'] + beside} channels and "
                         f"{CONFIG} of {config['in_channels']}; "
                         "copy the prior again")
    net = net.to(device_of(device), memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack the pair
    return NetworkPrior(
        Compiled(net) if compiled else net, parametrisation, channels=about["channels"], multiple=about["multiple"],
        size=tuple(about["size"]) if about.get("size") else None, recipe=recipe, bf16=bf16, class_label=class_label,
        classes=classes, reference_channels=reference, symmetries=_symmetries(about, folder),
    )


def load_part(name: str | Path, part: str, *, device: torch.device | str = "cpu") -> torch.nn.Module:
    """A further network of a prior, such as the autoencoder of a latent one, checked as `load` does.

    Raises:
        InputError: there is no such part, or its files are missing, truncated, altered or mismatching.
    """
    folder = find(name)
    about = describe(folder)
    parts = about.get("parts")
    if not isinstance(parts, dict) or not isinstance(parts.get(part), str):
        raise InputError(f"{folder} has no part {part!r}; it has: {', '.join(parts) if isinstance(parts, dict) else 'none'}")
    config = network_config(folder, part, about)
    return read_network(folder, f"{part}/{Path(WEIGHTS).name}", config, parts[part]).to(device_of(device))


def reference_channels(about: Mapping[str, Any], folder: Path) -> int:
    """How many channels the reference image of a prior has, 0 where it takes none.

    Raises:
        InputError: a description of it that makes no sense.
    """
    said = about.get("reference")
    if said is None:
        return 0
    channels: Any = said.get("channels") if isinstance(said, dict) else None
    if not is_count(channels):
        raise InputError(f"{folder}/prior.json describes its reference image as {str(said)[:200]}, which has no whole number of "
                         "channels; restore it from where the prior came from")
    return int(channels)


def _symmetries(about: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    said = about.get("symmetries", [])
    if not are_symmetries(said, about["channels"]):
        raise InputError(f"{folder}/prior.json describes its symmetries as {str(said)[:200]}, which images of "
                         f"{about['channels']} channels cannot have; restore it from where the prior came from")
    return tuple(said)


def _index(classes: Classes | None, label: Label, folder: Path) -> int | None:
    """The number of the class that is asked for."""
    if classes is None:
        if label is not None:
            raise InputError(f"{folder} is a prior without classes; leave `label` out")
        return None
    try:
        return classes.index(label)
    except InputError as error:
        raise InputError(f"{folder} is a prior of {classes.number} classes: {error}") from error
