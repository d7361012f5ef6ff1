"""A config is typed through and through, and complaints name the key and the way out."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.runs import prior_config

from medrestore.errors import InputError
from medrestore.settings import assign, build, flatten, plain
from medrestore.training.baseline_config import BaselineConfig
from medrestore.training.config import (
    Config,
    Optim,
    adjustable,
    changes_since,
    stored,
)
from medrestore.training.kinds import read

CONFIGS = Path(__file__).parents[2] / "configs" / "train"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_read_and_written_again(path: Path) -> None:
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = read(given, path.name)
    assert config.optim.decay_images < config.images and config.data.train and config.data.validation
    assert read(yaml.safe_load(yaml.safe_dump(plain(config))), "again") == config


def test_values_take_their_types() -> None:
    config = read({"optim": {"lr": "1e-4", "clip": 1}, "images": "2e5", "ema_images": 500, "data": {"sides": [[64, 1]]}}, "x")
    assert config.optim.lr == 1e-4 and config.optim.clip == 1.0 and type(config.optim.clip) is float
    assert config.images == 200_000 and config.ema_images == (500,) and config.data.sides == ((64, 1.0),)
    assert read({}, "x") == Config()


@pytest.mark.parametrize(("given", "message"), [
    ({"optm": {}}, r"^my.yaml: optm is no option; did you mean optim\?$"),
    ({"optim": {"rate": 1}}, "optim.rate is no option; there are: lr, batch"),
    ({"optim": {"lr": "fast"}}, "optim.lr must be a number, got 'fast'"),
    ({"optim": {"batch": 1.5}}, "optim.batch must be a whole number, got 1.5"),
    ({"optim": {"batch": True}}, "optim.batch must be a whole number, got True"),
    ({"optim": {"lr": float("nan")}}, "optim.lr must be above 0, got nan"),
    ({"optim": 3}, "optim must be a mapping of options, got 3"),
    ({"images": None}, "images must be a whole number, got null"),
    ({"images": 0}, "images must be at least 1, got 0"),
    ({"seed": -1}, "seed must be at least 0, got -1"),
    ({"precision": "fp8"}, "precision must be one of fp32, bf16, fp16, got 'fp8'"),
    ({"objective": {"kind": "eps"}}, "objective.kind must be one of edm, epsilon, velocity, sample, got 'eps'"),
    ({"objective": {"sigmas": [1]}}, r"objective.sigmas must be a list of 2, got \[1\]"),
    ({"objective": {"sigmas": [2, 1]}}, r"objective.sigmas must rise, got \[2.0, 1.0\]"),
    ({"objective": {"betas": {"end": 1.5}}}, "objective.betas.end must be above 0 and below 1, got 1.5"),
    ({"objective": {"betas": {"start": 0.1}}}, "objective.betas.start must be at most end, got 0.1 and 0.02"),
    ({"data": {"sides": [64, 96]}}, r"data.sides\[0\] must be a list of 2, got 64"),
    ({"data": {"sides": [[64, 0]]}}, r"data.sides\[0\]\[1\] must be above 0, got 0.0"),
    ({"data": {"sides": [[64, 1], [64, 2]]}}, r"data.sides must be different numbers, at least one, got \[64, 64\]"),
    ({"data": {"train": {"kind": "folder"}}}, "data.train must be a list"),
    ({"data": {"validation_side": 0}}, "data.validation_side must be at least 1, got 0"),
    ({"ema_images": []}, r"ema_images must be different numbers, at least one, got \[\]"),
    ({"network": [1]}, "network must be a mapping of names to values"),
    ({"channels_last": 1}, "channels_last must be true or false, got 1"),
])
def test_mistakes_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(given, "my.yaml")


def test_dotted_keys() -> None:
    given: dict[str, Any] = {"optim": {"lr": 1.0}}
    assign(given, "optim.batch", 4)
    assign(given, "network.dropout", 0.1)
    assert given == {"optim": {"lr": 1.0, "batch": 4}, "network": {"dropout": 0.1}}
    with pytest.raises(InputError, match=r"optim.lr.x cannot be set: lr is 1.0, not a mapping"):
        assign(given, "optim.lr.x", 1)


SOURCES = [{"kind": "pictures", "files": "/patients/jane/DOE^JANE/*.png"}, {"kind": "fastmri", "files": ["~/a.h5", "b.h5"]}]


def test_paths_are_stored_as_names() -> None:
    given = {"out": "runs/knee", "init": "runs/brain/prior", "data": {"train": SOURCES},
             "card": {"about": "and/or", "licence": "https://x.org/licence"}}
    told = stored(read(given, "x"))
    assert (told["out"], told["init"], told["card"]["about"]) == ("knee", "prior", "and/or")
    assert told["data"]["train"] == [{"kind": "pictures", "files": "*.png"},
                                     {"kind": "fastmri", "files": ["a.h5", "b.h5"]}]
    kept = stored(read(given | {"privacy": {"keep_paths": True}}, "x"))
    assert kept["data"]["train"] == SOURCES and kept["init"] == "runs/brain/prior"
    none = stored(read(given | {"privacy": {"anonymous": True}}, "x"))
    assert none["data"]["train"][0] == {"kind": "pictures", "files": "omitted"} and none["init"] == "omitted"
    with pytest.raises(InputError, match="keep_paths and `anonymous` exclude each other"):
        read({"privacy": {"keep_paths": True, "anonymous": True}}, "x")


@pytest.mark.parametrize("privacy", [{}, {"keep_paths": True}, {"anonymous": True}])
def test_a_run_resumes_whatever_it_tells_of_its_paths(privacy: dict[str, bool]) -> None:
    before = stored(read({"data": {"train": SOURCES}, "privacy": privacy}, "x"))
    for now in ({}, {"keep_paths": True}, {"anonymous": True}):
        assert changes_since(before, read({"data": {"train": SOURCES}, "privacy": now}, "x"), "x") == []
        other = [SOURCES[0] | {"kind": "scenes"}, SOURCES[1]]
        assert len(changes_since(before, read({"data": {"train": other}, "privacy": now}, "x"), "x")) == 1
    other = [SOURCES[0] | {"files": "/patients/jane/*.jpg"}, SOURCES[1]]
    differ = changes_since(before, read({"data": {"train": other}}, "x"), "x")
    assert len(differ) == (0 if privacy == {"anonymous": True} else 1)


def test_what_may_change_on_the_way(tmp_path: Path) -> None:
    before = plain(prior_config(tmp_path))
    free = {"images": 200, "optim__decay_images": 9, "keep": 5, "card__name": "new", "data__workers": 3, "snapshots": [1]}
    assert changes_since(before, prior_config(tmp_path / "elsewhere", **free), "x") == []
    assert changes_since(before, prior_config(tmp_path, seed=4, network__dropout=0.1), "x") == [
        "seed was 3 and is 4", "network.dropout was None and is 0.1"]
    del before["keep"], before["compile"]  # written by an earlier version, which did not know them
    assert changes_since(before, prior_config(tmp_path), "x") == []


@pytest.mark.parametrize(("kind", "values", "message"), [
    (Optim, {"lr": -1.0}, "^Optim: lr must be above 0, got -1.0$"),
    (Config, {"images": 0}, "^Config: images must be at least 1, got 0$"),
    (Config, {"snapshots": (2, 2)}, "snapshots must be different numbers"),
])
def test_bounds_hold_in_python_too(kind: type, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(**values)


def test_adjustable_fields_are_those_of_length_and_output() -> None:
    assert set(adjustable(Config)) == {"out", "images", "weights", "optim.decay_images", "checkpoint_images", "keep",
                                       "sample_images", "snapshots", "card", "privacy", "data.workers"}
    assert set(adjustable(BaselineConfig)) == {"out", "images", "optim.decay_images", "checkpoint_images", "keep", "card",
                                               "privacy", "data.workers"}


OTHERS: dict[str, Any] = {
    "conditions.label_dropout": 0.2, "conditions.reference_dropout": 0.2,
    "init": "parent", "network": {"a": 1}, "objective.kind": "sample", "objective.noise.kind": "schedule",
    "objective.weighting": "edm", "data.augment": "frames", "precision": "bf16", "weights": "fp16", "baseline": "varnet",
    "objective.betas.start": 0.01, "objective.betas.end": 0.5, "objective.sigmas": [0.1, 1.0], "scan.kinds": ["uniform1d"],
    "scan.cut": 0.1, "scan.snr_db": [1.0, 2.0], "scan.accels": [[2.0, 3]], "data.train": [{"kind": "phantoms"}],
    "data.validation": [{"kind": "phantoms"}], "data.sides": [[32, 1.0]], "data.validation_side": 8,
}


def other(key: str, value: Any) -> Any:
    """A valid value that differs from the default."""
    if key in OTHERS:
        return OTHERS[key]
    if isinstance(value, (bool, str)):
        return not value if isinstance(value, bool) else value + "x"
    return [7] if isinstance(value, list) else value + 1


@pytest.mark.parametrize("default", [Config(), BaselineConfig(baseline="unet")], ids=["prior", "baseline"])
def test_every_field_decides_the_run_or_is_adjustable(default: Config | BaselineConfig) -> None:
    """Changed one at a time, each key that is not adjustable is named as a difference, and no other is."""
    kind, before = type(default), plain(default)
    for key, value in flatten(before).items():
        given = plain(default)
        sides = isinstance(default, BaselineConfig) and key == "data.sides"
        assign(given, key, [7] if sides else other(key, value))
        changes = changes_since(before, build(kind, given, "x"), "x")
        free = f"{key}.".startswith(tuple(f"{name}." for name in adjustable(kind)))
        assert bool(changes) != free and all(change.startswith(key) for change in changes), key
