"""Priors on disk: a diffusers folder and `prior.json`, tensors and plain data only."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from .. import shipped
from ..codecs import CalibratedComplex, Interval, Recipe
from ..errors import InputError, meant
from ..files import check_own, digest, digest_of, is_empty, new_folder, recover
from .architectures import build, configuration
from .check import not_finite
from .classes import Classes, Label, described_classes
from .compiled import Compiled
from .network import NetworkPrior
from .parametrisations import (
    EDM,
    Epsilon,
    Parametrisation,
    Sample,
    VarianceExploding,
    Velocity,
    cosine_betas,
    linear_betas,
    scaled_linear_betas,
)
from .tensors import write_tensors

FORMAT = 1
PRIOR = "prior.json"  # the description of a prior
DESCRIPTIONS = (PRIOR, "classifier.json")  # files that tell a folder of this package
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
CONFIG = "unet/config.json"
PARAMETRISATIONS: dict[str, type[Parametrisation]] = {
    "edm": EDM, "epsilon": Epsilon, "velocity": Velocity, "sample": Sample, "variance_exploding": VarianceExploding,
}
RECIPES: dict[str, type[Interval] | type[CalibratedComplex]] = {"interval": Interval, "calibrated_complex": CalibratedComplex}
SCHEDULES: dict[str, Callable[..., tuple[float, ...]]] = {"linear": linear_betas, "scaled_linear": scaled_linear_betas}
FIELDS = {"format", "parametrisation", "recipe", "channels", "multiple", "sha256"}  # of prior.json, besides its card
PROSE = {"card", "licence", "digest"}  # entries of prior.json that may be edited, and the digest of the others
LARGEST_WEIGHTS = 8 * 2**30  # bytes
LARGEST_JSON = 16 * 2**20  # bytes; a schedule of single betas has some
LONGEST_SCHEDULE = 100_000  # steps


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
    kind, said = _name(PARAMETRISATIONS, parametrisation), None if recipe is None else _name(RECIPES, recipe)
    dtype = torch.float16 if half else None
    sha256 = write_network(folder / "unet", net, config, dtype)
    hashes = {name: write_network(folder / name, part, None, dtype) for name, part in (parts or {}).items()}
    configs = {name: digest(folder / name / Path(CONFIG).name) for name in ("unet", *hashes)}
    about = {
        "format": FORMAT,
        "parametrisation": {"kind": kind, **_plain(parametrisation)},
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


def sealed(about: Mapping[str, Any]) -> dict[str, Any]:
    """A description with the sha256 of all in it that decides what the prior does: all but the prose."""
    return {**about, "digest": digest_of({key: value for key, value in about.items() if key not in PROSE})}


def write_network(folder: Path, net: torch.nn.Module, config: Mapping[str, Any] | None,
                   dtype: torch.dtype | None = None) -> str:
    """Writes a network, and returns the sha256 of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    sha256 = write_tensors(folder / Path(WEIGHTS).name, net.state_dict(), dtype=dtype)
    said = dict(configuration(net) if config is None else config)
    said.setdefault("_class_name", type(net).__name__)
    (folder / Path(CONFIG).name).write_text(json.dumps(said, indent=2, default=list) + "\n")
    return sha256


def _name(kinds: dict[str, Any], instance: object) -> str:
    for name, kind in kinds.items():
        if type(instance) is kind:
            return name
    known = ", ".join(kind.__name__ for kind in kinds.values())
    raise InputError(f"a {type(instance).__name__} cannot be kept on disk; {known} can")


def _plain(parametrisation: Parametrisation) -> dict[str, Any]:
    """Its numbers, a schedule by its kind and ends where that gives all of it."""
    values = asdict(parametrisation)
    betas = values.get("betas")
    if betas is not None:
        known = {name: ((betas[0], betas[-1], len(betas)), made) for name, made in SCHEDULES.items()}
        for name, (ends, made) in known.items():
            if _same(betas, made(*ends)):
                return values | {"betas": {"kind": name, "start": ends[0], "end": ends[1], "steps": ends[2]}}
        if _same(betas, cosine_betas(len(betas))):
            return values | {"betas": {"kind": "cosine", "steps": len(betas)}}
    return values


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(one, other, strict=True))


def check_free(out: Path, *, replace: bool = False) -> None:
    """Refuses a place for a prior where something is, unless it is a prior that may be replaced.

    Raises:
        InputError: the place is taken.
    """
    if not out.exists() or is_empty(out):
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


def read_description(path: Path) -> dict[str, Any]:
    """The description of a network, `prior.json` or one like it, checked for its fields.

    Raises:
        InputError: it cannot be read, or was altered.
    """
    try:
        about = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({_first_line(error)}); "
                         "restore it from where the prior came from") from error
    missing = FIELDS - set(about) if isinstance(about, dict) else FIELDS
    if missing or about["format"] != FORMAT:
        raise InputError(f"{path} lacks {', '.join(sorted(missing)) or f'format {FORMAT}'}; it is not a prior of this version")
    for field in ("channels", "multiple"):
        if not _whole(about[field]):
            raise InputError(f"{path} gives {about[field]!r} as {field}, which must be a whole number of at least 1; "
                             "restore it from where the prior came from")
    size = about.get("size")
    if size is not None and not (isinstance(size, list) and len(size) == 2 and all(
        _whole(side) and side % about["multiple"] == 0 for side in size
    )):
        raise InputError(f"{path} gives {size!r} as size, which must be two whole numbers, height and width, each a multiple of "
                         f"{about['multiple']}; restore it from where the prior came from")
    if "digest" in about and sealed(about)["digest"] != about["digest"]:  # priors of earlier versions have none
        raise InputError(f"{path} was altered after it was written (its digest differs); restore it from where the prior "
                         "came from")
    return about


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 1


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
    parametrisation = built(PARAMETRISATIONS, about["parametrisation"], folder)
    recipe = None if about["recipe"] is None else built(RECIPES, about["recipe"], folder)
    config = {"_class_name": "UNet2DModel"} | network_config(folder, "unet", about)
    classes = described_classes(about, config, folder)
    class_label = _index(classes, label, folder)
    net = network(folder, WEIGHTS, config, about["sha256"])
    reference = reference_channels(about, folder)
    beside = about.get("condition_channels", 0) + (reference + 1 if reference else 0)
    if config.get("in_channels", about["channels"]) != about["channels"] + beside:
        raise InputError(f"{folder}/prior.json speaks of {about['channels'] + beside} channels and "
                         f"{CONFIG} of {config['in_channels']}; "
                         "copy the prior again")
    net = net.to(place(device), memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack the pair
    return NetworkPrior(
        Compiled(net) if compiled else net, parametrisation, channels=about["channels"], multiple=about["multiple"],
        size=tuple(about["size"]) if about.get("size") else None, recipe=recipe, bf16=bf16, class_label=class_label,
        classes=classes, reference_channels=reference,
    )


def place(device: torch.device | str) -> torch.device:
    """A device by its name."""
    try:
        return torch.device(device)
    except RuntimeError as error:
        raise InputError(f"{device!r} names no device; give cpu, cuda, cuda:1, mps or xpu") from error


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
    return network(folder, f"{part}/{Path(WEIGHTS).name}", config, parts[part]).to(place(device))


def reference_channels(about: Mapping[str, Any], folder: Path) -> int:
    """How many channels the reference image of a prior has, 0 where it takes none.

    Raises:
        InputError: a description of it that makes no sense.
    """
    said = about.get("reference")
    if said is None:
        return 0
    channels: Any = said.get("channels") if isinstance(said, dict) else None
    if not _whole(channels):
        raise InputError(f"{folder}/prior.json describes its reference image as {str(said)[:200]}, which has no whole number of "
                         "channels; restore it from where the prior came from")
    return int(channels)


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


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON >> 20} MiB")
    return path.read_text(encoding="utf-8")


def _json(path: Path, folder: Path) -> dict[str, Any]:
    try:
        values = json.loads(_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder} cannot be loaded: {path.relative_to(folder)} is missing or not readable JSON; "
                         "copy the prior again") from error
    if not isinstance(values, dict):
        raise InputError(f"{folder} cannot be loaded: {path.relative_to(folder)} is no JSON object; copy the prior again")
    return values


def network_config(folder: Path, part: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a network in a folder, which must be the one that was written."""
    path, hashes = folder / part / Path(CONFIG).name, about.get("config_sha256", {})
    values = _json(path, folder)
    if hashes and digest(path) != hashes.get(part):
        raise InputError(f"{path} was altered after it was written (its sha256 differs); copy the prior again")
    return values


def network(folder: Path, weights: str, config: dict[str, Any], sha256: str) -> torch.nn.Module:
    """The network of a configuration with the weights of a file, strictly; nothing is allocated that the file does not hold."""
    path = folder / weights
    if not path.is_file():
        raise InputError(f"{folder} has no {weights}; a prior needs its weights as safetensors")
    if path.stat().st_size > LARGEST_WEIGHTS:
        raise InputError(f"{path} is larger than {LARGEST_WEIGHTS >> 30} GiB, more than any known prior")
    if digest(path) != sha256:
        raise InputError(f"{path} is not the file that prior.json describes (its sha256 differs); copy the prior again")
    try:
        with torch.device("meta"):
            net = build(config)
        tensors = {key: value.float() if value.is_floating_point() else value for key, value in load_file(path).items()}
        if (broken := not_finite(tensors)) is not None:
            raise InputError(f"{path}: {broken} holds NaN or infinity, so it is no trained network; "
                             "take another snapshot of that run")
        net.load_state_dict(tensors, strict=True, assign=True)
    except InputError:
        raise
    except Exception as error:  # whatever the libraries say of a broken file
        raise InputError(f"{folder} cannot be loaded as a {config['_class_name']} ({_first_line(error)}); "
                         "copy the prior again") from error
    return net.requires_grad_(False)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def built(kinds: dict[str, Any], values: Any, folder: Path) -> Any:
    """The parametrisation or recipe that `values` describes: a kind and its numbers."""
    try:
        arguments = {key: _value(value) for key, value in values.items() if key != "kind"}
        for value in arguments.values():
            if not all(math.isfinite(number) for number in (value if isinstance(value, tuple) else (value,))):
                raise ValueError("numbers must be finite")
        made = kinds[values["kind"]](**arguments)
        if not _sane(made):
            raise ValueError("its numbers make no sense")
    except (ArithmeticError, AttributeError, InputError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}/prior.json describes {str(values)[:200]}, and only {', '.join(kinds)} with their numbers are "
                         "known; restore it from where the prior came from") from error
    return made


def _sane(made: Any) -> bool:
    """Whether the numbers of a recipe make one; parametrisations refuse theirs themselves."""
    match made:
        case Interval(low=low, high=high):
            return low < high
        case CalibratedComplex(quantile=quantile):
            return 0 < quantile <= 1
    return True


def _value(value: Any) -> Any:
    """A number, a tuple of them, or the betas of a schedule given by kind, ends and steps."""
    if isinstance(value, dict):
        numbers = {key: number for key, number in value.items() if key != "kind"}
        if not _whole(numbers["steps"]) or not 2 <= numbers["steps"] <= LONGEST_SCHEDULE:
            raise ValueError("a schedule has 2 steps or more")
        return {**SCHEDULES, "cosine": cosine_betas}[value["kind"]](**numbers)
    return tuple(value) if isinstance(value, list) else value
