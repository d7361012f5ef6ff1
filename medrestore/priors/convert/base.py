"""The contract of a family of checkpoints, and what the families share."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ...codecs import CalibratedComplex, Interval, Recipe
from ...errors import InputError
from ..architectures import build_network
from ..classes import Classes
from ..parametrisations import Parametrisation, cosine_betas, linear_betas, scaled_linear_betas
from .checkpoint import CheckpointView, floats
from .load import printable, short_reason

Shapes = Mapping[str, tuple[int, ...]]  # key of a tensor -> its shape


@dataclass(frozen=True)
class Converted:
    """A checkpoint of a known family as a network of ours, loaded strictly.

    Attributes:
        family: its name, as `medrestore convert` prints it.
        config: what `priors.architectures.build` needs to make the network again, `_class_name` included.
        net: the network, every tensor of the checkpoint in its place.
        parametrisation: what it predicts, and on which noise levels.
        recipe: how images become its coordinates.
        channels: of one image.
        multiple: height and width must be multiples of this.
        size: the only (height, width) it accepts, or None.
        about: what else the family implies (schedule, where attention sits, class labels, ...), for people.
        parts: further networks that belong to it by folder name, such as the autoencoder of a latent prior.
        classifies: the classes that it tells apart, where it is a classifier of noisy images and no prior.
    """

    family: str
    config: dict[str, Any]
    net: torch.nn.Module
    parametrisation: Parametrisation
    recipe: Recipe | None
    channels: int
    multiple: int
    size: tuple[int, int] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, torch.nn.Module] = field(default_factory=dict)
    classifies: Classes | None = None


class Family(Protocol):
    """One family of checkpoints: recognised from keys and shapes alone.

    Attributes:
        name: for people.
        signature: keys that each of its checkpoints has; none where keys say nothing.
    """

    name: str
    signature: tuple[str, ...]

    def recognises(self, shapes: Shapes) -> bool:
        """Whether a state dict of these keys and shapes is of this family; by default, by its signature."""
        return all(key in shapes for key in self.signature)

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        """The network of this state dict.

        Args:
            state: tensors by the family's own keys, wrappers such as `ema` or `module.` already removed.
            given: what a user states that no tensor tells (such as `num_heads`, `image_size`, `stated_betas`), or nothing.

        Raises:
            InputError: tensors that miss, are left over or do not fit, or a fact that must be given.
        """


@runtime_checkable
class FolderFamily(Family, Protocol):
    """A family whose checkpoints are folders."""

    def opens(self, folder: Path) -> bool:
        """Whether the folder is of this family."""

    def read(self, folder: Path) -> tuple[CheckpointView, dict[str, Any]]:
        """The tensors, and plain data of its configuration that `convert` gets with what a user gives."""


SCHEDULES = ("linear", "scaled_linear", "cosine")
RANGE = ("low", "high", "quantile")
SCHEDULE = ("schedule", "beta_start", "beta_end", "steps")


def only(given: Mapping[str, Any], known: tuple[str, ...], family: str) -> None:
    """Refuses what a user states and the family does not ask for."""
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{family} does not take {', '.join(unknown)}; it takes {', '.join(known)}")


def whole(given: Mapping[str, Any], key: str) -> int | None:
    """A whole number of at least 1 that a user states, None when not."""
    value = given.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise InputError(f"{key} must be a whole number of at least 1, got {value!r}")
    return value


def number(given: Mapping[str, Any], key: str, default: float) -> float:
    """A finite number that a user states, or the default."""
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{key} must be a number, got {value!r}")
    return float(value)


def stated_betas(given: Mapping[str, Any], default: str = "linear") -> tuple[tuple[float, ...], str]:
    """The schedule of a user's words or the family's default, and its name for people."""
    kind = given.get("schedule", default)
    steps = whole(given, "steps") or 1000
    if kind not in SCHEDULES or not 2 <= steps <= 100_000:
        raise InputError(f"schedule must be one of {', '.join(SCHEDULES)} with 2 to 100000 steps, got {kind!r}, {steps}")
    if kind == "cosine":
        return cosine_betas(steps), f"cosine, {steps} steps"
    start, end = number(given, "beta_start", 1e-4), number(given, "beta_end", 0.02)
    if not 0 < start < end < 1:
        raise InputError(f"beta_start and beta_end must rise between 0 and 1, got {start:g} and {end:g}")
    made = (linear_betas if kind == "linear" else scaled_linear_betas)(start, end, steps)
    return made, f"{kind} beta {start:g} to {end:g}, {steps} steps"


def stated_recipe(channels: int, given: Mapping[str, Any], *, unit_interval: bool = True) -> Recipe:
    """How images become what the network knows.

    Complex images (2 channels) are scaled by a quantile of their magnitude; others are stated by the two image values, `low`
    and `high`, that the network knows as -1 and 1.

    Args:
        unit_interval: whether the family says that images in [0, 1] are meant when the user does not.
    """
    stated = {"low", "high"} & set(given)
    if channels == 2 and not stated:
        quantile = number(given, "quantile", 0.99)
        if not 0 < quantile <= 1:
            raise InputError(f"quantile must lie above 0 and up to 1, got {quantile:g}")
        return CalibratedComplex(quantile)
    if "quantile" in given:
        raise InputError(f"quantile is for complex images of two channels, not of {channels}; give low and high")
    if stated != {"low", "high"} and (stated or not unit_interval):
        raise InputError(f"nothing in the tensors tells the value range of these images of {channels} channels; "
                         "give the image values that are -1 and 1 to the network, as low=0 and high=1")
    low, high = number(given, "low", 0.0), number(given, "high", 1.0)
    if not low < high:
        raise InputError(f"low must be below high, got {low:g} and {high:g}")
    return Interval(low, high)


def assumed(given: Mapping[str, Any], **settings: Any) -> dict[str, str]:
    """What no tensor tells and nobody has stated, as an entry of `Converted.about`: `settings` that are not in `given`."""
    taken = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in settings.items()
             if key not in given and value is not None]
    return {"assumed": ", ".join(taken)} if taken else {}


def compare(state: Mapping[str, Tensor], expected: Shapes, family: str) -> None:
    """Refuses tensors that miss, are left over or have another shape than the layout says."""
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        said = [f"{what} {some(keys)}" for what, keys in (("lacks", missing), ("has in addition", extra)) if keys]
        raise InputError(f"this is nearly {family}, but it {' and '.join(said)}; take the file that the network was published in")
    for key, shape in expected.items():
        if tuple(state[key].shape) != tuple(shape):
            raise InputError(f"this is nearly {family}, but {key} is {tuple(state[key].shape)} instead of {tuple(shape)}; "
                             "take the file that the network was published in")


def axis(shapes: Shapes, key: str, index: int, family: str) -> int:
    """The length of an axis of a tensor that the layout always has.

    Raises:
        InputError: it misses or has no such axis.
    """
    if key not in shapes:
        raise InputError(f"this is nearly {family}, but it lacks {key}; take the file that the network was published in")
    if len(shapes[key]) <= index or shapes[key][index] < 1:
        raise InputError(f"this is nearly {family}, but {key} has the shape {tuple(shapes[key])}; "
                         "take the file that the network was published in")
    return shapes[key][index]


def some(keys: Iterable[str], most: int = 3) -> str:
    """The first names, and how many there are beyond."""
    keys = list(keys)
    return ", ".join(map(printable, keys[:most])) + (f" and {len(keys) - most} more" if len(keys) > most else "")


def filled_network(config: dict[str, Any], state: dict[str, Tensor], family: str) -> torch.nn.Module:
    """The network of a configuration with these tensors (by its own keys, as float32), strictly.

    Raises:
        InputError: they do not fit each other.
    """
    try:
        with torch.device("meta"):
            net = build_network(config)
    except InputError:
        raise
    except Exception as error:  # whatever the class says of a configuration it cannot take
        raise InputError(f"{family}: no {config.get('_class_name')} can be made of this architecture ({short_reason(error)}); "
                         "check what is given beside the file") from error
    compare(state, {key: tuple(value.shape) for key, value in net.state_dict().items()}, family)
    net.load_state_dict(floats(state, family), strict=True, assign=True)
    return net.eval().requires_grad_(False)
