"""Every field of every plan decides: changed, it changes the hash; what does not decide is in another class."""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import torch
from helpers.networks import save_classifier
from torch import Tensor

from medrestore.cli.main import COMMANDS
from medrestore.codecs import CalibratedComplex
from medrestore.inpainting.plan import Plan as InpaintPlan
from medrestore.priors import Prior
from medrestore.recon.files import Job
from medrestore.recon.plan import UNDECIDING, Machine, Plan, Reading, Undersampling, Writing
from medrestore.settings import Bounds, FieldError, OneOf, build, documented, hints, plain, schema


class Blank(Prior):
    channels, recipe = 2, CalibratedComplex()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return torch.zeros_like(x)


PLANS: dict[str, Any] = {
    "recon": Plan(method="dds", options={"eta": 1.0}, samples=2, undersample=Undersampling("uniform1d", 4, 20),
                  select={"contrast": 1}),
    "inpaint": InpaintPlan(options={"eta": 0.5}),
}
ACROSS: dict[str, dict[str, Any]] = {name: {"across_slices": 5.0} for name in ("three_planes", "differences")}  # go with it
FILES = {"maps", "trajectory", "reference_image"}  # files whose content is in the hash; they need not exist for the plan


def other(hint: Any, value: Any, *, name: str) -> Any:
    """Another value that a field may hold."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        for limit in arguments[1:]:
            if isinstance(limit, OneOf):
                return next(one for one in limit.names if one != value)
        return _within(arguments, value, name=name)
    if origin is Literal:
        return next(one for one in arguments if one != value)
    if hint is bool:
        return not value
    if hint in (int, float):
        return hint((value or 0) + 1)
    if hint is str:
        return f"{value or ''}x"
    if origin is tuple:
        kinds = arguments[:1] if arguments[-1] is Ellipsis else arguments
        made = tuple(other(kind, None, name=name) for kind in kinds)
        return made if made != value else made[:-1]
    if NoneType in arguments:  # an optional value
        inner = next(one for one in arguments if one is not NoneType)
        return None if value is not None else other(inner, None, name=name)
    if Literal in map(get_origin, arguments):  # a number or a word
        return other(next(one for one in arguments if get_origin(one) is not Literal), None, name=name)
    if isinstance(value, dict):
        return {key: item + (1 if isinstance(item, int) else 0.125) for key, item in value.items()}
    if arguments:
        return other(next(one for one in arguments if isinstance(value, one) or value is None), value, name=name)
    raise AssertionError(f"{name}: no other value of {hint}")


def _within(arguments: tuple[Any, ...], value: Any, *, name: str) -> Any:
    bounds = next(one for one in arguments[1:] if isinstance(one, Bounds))
    kind = next(one for one in (get_args(arguments[0]) or (arguments[0],)) if one in (int, float))
    candidates = [kind(number) for number in (3, 7, 0.5, 2, 1)]
    return next(one for one in candidates if bounds.admits(one) and one != value)


def changes(plan: Any) -> Iterator[tuple[str, Any]]:
    """The name of every field, nested ones with a dot, and the plan with another value of it."""
    for one in fields(plan):
        value = getattr(plan, one.name)
        if is_dataclass(value) and not isinstance(value, type):
            for name, changed in changes(value):
                yield f"{one.name}.{name}", replace(plan, **{one.name: changed})
            yield one.name, replace(plan, **{one.name: None})
        elif one.name == "method":  # whose options go with it
            yield one.name, replace(plan, method="dps", options={})
        else:
            changed = {one.name: other(hints(type(plan))[one.name], value, name=one.name)}
            yield one.name, replace(plan, **ACROSS.get(one.name, {}), **changed)


RECON = dict(changes(PLANS["recon"]))


def current(plan: Plan, **rest: Any) -> str:
    """Files decide by their content, wherever they are."""
    return Job(plan, Blank(), {"sha256": f"sha256 of {plan.prior}"}, **rest).config_hash


@pytest.mark.parametrize("name", RECON)
def test_every_field_of_recon_changes_the_hash(name: str, tmp_path: Path) -> None:
    plan = RECON[name]
    if name in FILES:
        (tmp_path / f"{name}.npy").write_bytes(b"content")
        plan = replace(plan, **{name: tmp_path / f"{name}.npy"})
    if name == "classifier":
        save_classifier(tmp_path / "classifier", names=("a", "b"))
        plan = replace(plan, classifier=str(tmp_path / "classifier"))
    assert current(plan) != current(PLANS["recon"])


def test_a_field_that_goes_with_another_changes_the_hash_beside_it() -> None:
    for name, others in ACROSS.items():
        assert current(RECON[name]) != current(replace(PLANS["recon"], **others))


def test_every_field_is_tried() -> None:
    names = {one.name for one in fields(Plan)} | {f"undersample.{one.name}" for one in fields(Undersampling)}
    assert set(RECON) == names


def test_what_does_not_decide_does_not_change_the_hash() -> None:
    changed = {"machine": Machine(device="cuda", compiled=True, maps_cache="x", apart=True, check_fit=True),
               "reading": Reading(max_gb=3, implausible=True),
               "writing": Writing(nifti=True, overwrite=True, resume=True, anonymous=True)}
    for value in changed.values():  # every field of it is another, but for one that excludes another
        assert {one.name for one in fields(value) if getattr(value, one.name) == one.default} <= {"keep_paths"}
    assert {type(value) for value in changed.values()} == set(UNDECIDING)
    assert current(PLANS["recon"], **changed) == current(PLANS["recon"])


def test_every_option_of_recon_is_of_a_plan_or_of_a_class_that_does_not_decide() -> None:
    own = {"scan", "out", "origin", "quality", "uncertainty", "json"}  # the input, its output, and what stands for a plan
    places = {one.path[0] for one in COMMANDS["recon"].options.values() if one.name not in own}
    assert places == {"plan", "machine", "reading", "writing"}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_plans_are_made_again_from_what_is_stored(plan: Any) -> None:
    for changed in (plan, *dict(changes(plan)).values()):
        assert build(type(plan), plain(changed), "stored") == changed


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_fields_differ_as_plain_data(plan: Any) -> None:
    """What the hash, the provenance and YAML are made of."""
    for name, changed in changes(plan):
        assert plain(changed) != plain(plan), name


@pytest.mark.parametrize("kind", [Plan, Undersampling, Machine, Reading, Writing, InpaintPlan])
def test_every_field_is_documented_and_in_the_schema(kind: type) -> None:
    names = {one.name for one in fields(kind)}
    assert set(documented(kind)) == names == set(schema(kind)["properties"])


@pytest.mark.parametrize("kind", [Plan, Undersampling, Machine, Reading, Writing, InpaintPlan])
def test_values_of_another_type_are_refused_in_every_field(kind: Callable[..., Any]) -> None:
    required = {"kind": "uniform1d", "accel": 4.0} if kind is Undersampling else {}
    for one in fields(kind):  # type: ignore[arg-type]  # a dataclass
        with pytest.raises(FieldError, match=one.name):
            kind(**required | {one.name: object()})
