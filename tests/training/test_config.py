"""A config is typed through and through, and complaints name the key and the way out."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.runs import config

from medrestore.errors import InputError
from medrestore.training import supervised
from medrestore.training.config import Config, assign, differences, plain, read

CONFIGS = Path(__file__).parents[2] / "configs" / "train"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_read_and_written_again(path: Path) -> None:
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    reader = supervised.read if "baseline" in given else read
    made = reader(given, path.name)
    assert made.optim.decay_images < made.images and made.data.train and made.data.validation
    assert reader(yaml.safe_load(yaml.safe_dump(plain(made))), "again") == made


def test_values_take_their_types() -> None:
    made = read({"optim": {"lr": "1e-4", "clip": 1}, "images": "2e5", "ema_images": 500, "data": {"sides": [[64, 1]]}}, "x")
    assert made.optim.lr == 1e-4 and made.optim.clip == 1.0 and type(made.optim.clip) is float
    assert made.images == 200_000 and made.ema_images == (500,) and made.data.sides == ((64, 1.0),)
    assert read({}, "x") == Config()


@pytest.mark.parametrize(("given", "said"), [
    ({"optm": {}}, r"^my.yaml: optm is no option; did you mean optim\?$"),
    ({"optim": {"rate": 1}}, "optim.rate is no option; there are: lr, batch"),
    ({"optim": {"lr": "fast"}}, "optim.lr must be a number, got 'fast'"),
    ({"optim": {"batch": 1.5}}, "optim.batch must be a whole number, got 1.5"),
    ({"optim": {"batch": True}}, "optim.batch must be a whole number, got True"),
    ({"optim": {"lr": float("nan")}}, "optim.lr must be a number, got nan"),
    ({"optim": 3}, "optim must be a mapping of options, got 3"),
    ({"images": None}, "images must be a whole number, got null"),
    ({"images": 0}, "images must be positive, got 0"),
    ({"seed": -1}, "seed must be at least 0, got -1"),
    ({"precision": "fp8"}, "precision must be one of fp32, bf16, fp16, got 'fp8'"),
    ({"objective": {"kind": "eps"}}, "objective.kind must be one of edm, epsilon, velocity, sample, got 'eps'"),
    ({"objective": {"sigmas": [1]}}, r"objective.sigmas must be a list of 2, got \[1\]"),
    ({"objective": {"sigmas": [2, 1]}}, "objective.sigmas must be positive and rise"),
    ({"objective": {"betas": {"end": 1.5}}}, "objective.betas must rise between 0 and 1"),
    ({"data": {"sides": [64, 96]}}, r"data.sides\[0\] must be a list of 2, got 64"),
    ({"data": {"sides": [[64, 0]]}}, "the shares in data.sides must be positive"),
    ({"data": {"sides": [[64, 1], [64, 2]]}}, "data.sides must be positive and different"),
    ({"data": {"train": {"kind": "folder"}}}, "data.train must be a list"),
    ({"data": {"validation_side": 0}}, "data.validation_side must be positive, got 0"),
    ({"ema_images": []}, "ema_images must be positive and different numbers"),
    ({"network": [1]}, "network must be a mapping of names to values"),
    ({"channels_last": 1}, "channels_last must be true or false, got 1"),
])
def test_mistakes_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(given, "my.yaml")


def test_sides_of_a_baseline_are_positive() -> None:
    with pytest.raises(InputError, match=r"data.sides must be positive, got \[0\]"):
        supervised.read({"baseline": "unet", "data": {"sides": [0]}}, "my.yaml")


def test_a_baseline_goes_on_from_a_config_of_an_earlier_version() -> None:
    now = supervised.read({"baseline": "unet"}, "x")
    before = plain(now)
    del before["loss"]["ssim"], before["keep"]
    assert supervised.differences(before, now, "x") == []
    assert supervised.differences(before | {"seed": 4}, now, "x") == ["seed was 4 and is 0"]


def test_dotted_keys() -> None:
    given: dict[str, Any] = {"optim": {"lr": 1.0}}
    assign(given, "optim.batch", 4)
    assign(given, "network.dropout", 0.1)
    assert given == {"optim": {"lr": 1.0, "batch": 4}, "network": {"dropout": 0.1}}
    with pytest.raises(InputError, match=r"optim.lr.x cannot be set: lr is 1.0, not a mapping"):
        assign(given, "optim.lr.x", 1)


def test_what_may_change_on_the_way(tmp_path: Path) -> None:
    before = plain(config(tmp_path))
    free = {"images": 200, "optim__decay_images": 9, "keep": 5, "card__name": "new", "data__workers": 3, "snapshots": [1]}
    assert differences(before, config(tmp_path / "elsewhere", **free), "x") == []
    assert differences(before, config(tmp_path, seed=4, network__dropout=0.1), "x") == [
        "seed was 3 and is 4", "network.dropout was None and is 0.1"]
    del before["keep"], before["compile"]  # written by an earlier version, which did not know them
    assert differences(before, config(tmp_path), "x") == []
