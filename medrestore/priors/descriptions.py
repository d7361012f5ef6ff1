"""What a folder with a network says of it, `prior.json` and its like: plain data, sealed by a digest, read with suspicion."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..codecs import CalibratedComplex, Interval
from ..errors import InputError, first_line
from ..files import digest_of
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

FORMAT = 1
PRIOR = "prior.json"  # the description of a prior
DESCRIPTIONS = (PRIOR, "classifier.json")  # files that tell a folder of this package
PARAMETRISATIONS: dict[str, type[Parametrisation]] = {
    "edm": EDM, "epsilon": Epsilon, "velocity": Velocity, "sample": Sample, "variance_exploding": VarianceExploding,
}
RECIPES: dict[str, type[Interval] | type[CalibratedComplex]] = {"interval": Interval, "calibrated_complex": CalibratedComplex}
SCHEDULES: dict[str, Callable[..., tuple[float, ...]]] = {"linear": linear_betas, "scaled_linear": scaled_linear_betas}
FIELDS = {"format", "parametrisation", "recipe", "channels", "multiple", "sha256"}  # of prior.json, besides its card
PROSE = {"card", "licence", "digest"}  # entries of prior.json that may be edited, and the digest of the others
LARGEST_JSON = 16 * 2**20  # bytes; a schedule of single betas has some
LONGEST_SCHEDULE = 100_000  # steps


def sealed(about: Mapping[str, Any]) -> dict[str, Any]:
    """A description with the sha256 of all in it that decides what the prior does: all but the prose."""
    return {**about, "digest": digest_of({key: value for key, value in about.items() if key not in PROSE})}


def kind_name(kinds: dict[str, Any], instance: object) -> str:
    for name, kind in kinds.items():
        if type(instance) is kind:
            return name
    known = ", ".join(kind.__name__ for kind in kinds.values())
    raise InputError(f"a {type(instance).__name__} cannot be kept on disk; {known} can")


def plain_numbers(parametrisation: Parametrisation) -> dict[str, Any]:
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


def read_description(path: Path) -> dict[str, Any]:
    """The description of a network, `prior.json` or one like it, checked for its fields.

    Raises:
        InputError: it cannot be read, or was altered.
    """
    try:
        about = json.loads(read_json_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({first_line(error)}); "
                         "restore it from where the prior came from") from error
    missing = FIELDS - set(about) if isinstance(about, dict) else FIELDS
    if missing or about["format"] != FORMAT:
        raise InputError(f"{path} lacks {', '.join(sorted(missing)) or f'format {FORMAT}'}; it is not a prior of this version")
    for field in ("channels", "multiple"):
        if not is_count(about[field]):
            raise InputError(f"{path} gives {about[field]!r} as {field}, which must be a whole number of at least 1; "
                             "restore it from where the prior came from")
    size = about.get("size")
    if size is not None and not (isinstance(size, list) and len(size) == 2 and all(
        is_count(side) and side % about["multiple"] == 0 for side in size
    )):
        raise InputError(f"{path} gives {size!r} as size, which must be two whole numbers, height and width, each a multiple of "
                         f"{about['multiple']}; restore it from where the prior came from")
    if "digest" in about and sealed(about)["digest"] != about["digest"]:  # priors of earlier versions have none
        raise InputError(f"{path} was altered after it was written (its digest differs); restore it from where the prior "
                         "came from")
    return about


def described_coordinates(about: Mapping[str, Any], folder: Path) -> tuple[Parametrisation, Interval | CalibratedComplex | None]:
    """The parametrisation and the recipe of a description."""
    recipe = None if about["recipe"] is None else build_kind(RECIPES, about["recipe"], folder)
    return build_kind(PARAMETRISATIONS, about["parametrisation"], folder), recipe


def is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def read_json_text(path: Path) -> str:
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"it is larger than {LARGEST_JSON >> 20} MiB")
    return path.read_text(encoding="utf-8")


def build_kind(kinds: dict[str, Any], values: Any, folder: Path) -> Any:
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
        if not is_count(numbers["steps"]) or not 2 <= numbers["steps"] <= LONGEST_SCHEDULE:
            raise ValueError("a schedule has 2 steps or more")
        return {**SCHEDULES, "cosine": cosine_betas}[value["kind"]](**numbers)
    return tuple(value) if isinstance(value, list) else value
