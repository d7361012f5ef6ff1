"""The configs of the papers' tables run from end to end, small."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.networks import save_rgb_prior
from helpers.studies import PHANTOMS, run

from medrestore.datasets.folders import Photographs
from medrestore.evaluation.tables import read_rows
from medrestore.study.config import read

CONFIGS = Path(__file__).parents[2] / "configs" / "evaluate"
SCANS, PICTURES = ("dds-noise-free", "dds-noisy"), ("ddnm-table", "dps-table")
SHRED = ("shred-table", "shred-ablation", "shred-starts")


def given(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def small(method: dict[str, Any], prior: Path) -> dict[str, Any]:
    """The method with a tiny network and two steps; penalties of one weight."""
    if "method" in method:
        short = {"options": {"step_size": 1.0}} if method["method"] == "dps" else {}  # two of its default steps overshoot
        return {**method, "prior": str(prior), "steps": 2, "bf16": False, **short}
    options = {name: values[0] for name, values in method.get("tune", {}).items()}
    few = {"iterations": 2} if options or method.get("options") else {}
    rest = {key: value for key, value in method.items() if key != "tune"}
    return {**rest, "options": {**method.get("options", {}), **options, **few}}


@pytest.mark.parametrize("name", (*SCANS, *PICTURES))
def test_what_it_says_is_understood(name: str) -> None:
    config = read(given(name), name)
    assert config.name == name and len(config.conditions) >= 2 and len(config.methods) >= 4
    labels = {"ddnm-table": {"A+ y", "RePaint", "DDRM", "DDNM"}, "dps-table": {"DPS", "PnP-ADMM", "Score-SDE", "ADMM-TV"},
              "dds-noise-free": {"Jalal", "score-MRI", "DDS 20"}, "dds-noisy": {"Jalal", "score-MRI", "DDS"}}
    assert labels[name] <= set(config.methods)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str, tmp_path: Path) -> None:
    config, prior = given(name), save_rgb_prior(tmp_path / "prior")
    config["methods"] = {label: small(method, prior) for label, method in config["methods"].items()}
    config["data"] = {"kind": "pictures", "resize": 32}
    for condition in config["settings"]:
        condition.update({"box": 16} if "box" in condition else {})
        condition.update({"motion": [5, 45]} if "motion" in condition else {})
    config["settings"] = config["settings"][::2]
    one = tmp_path / "pictures"
    one.mkdir()
    (one / "picture.png").symlink_to(Photographs().files[0])
    config["data"]["folder"] = str(one)
    assert run(config, tmp_path / "out").failed == {}
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert {row["method"] for row in rows} == set(config["methods"])
    assert len(rows) == len(config["methods"]) * len(config["settings"])
    exact = [row for row in rows if row["method"] in ("A+ y", "DDNM")]
    assert all(row["consistency_l1"] < 1 for row in exact)


@pytest.mark.parametrize("name", SCANS)
def test_scans(name: str, tmp_path: Path, tiny_prior: Path) -> None:
    config = given(name)
    config["methods"] = {label: small(method, tiny_prior) for label, method in config["methods"].items()}
    config |= {"data": {**PHANTOMS, "count": 1, "snr_db": config["data"]["snr_db"]}, "validation": None,
               "settings": [{"kind": "uniform1d", "accel": 2, "acs": 12}]}
    assert run(config, tmp_path / "out").failed == {}
    rows = read_rows(tmp_path / "out" / "results.csv")
    calls = {row["method"]: row["calls"] for row in rows}
    assert set(calls) == set(config["methods"]) and calls["score-MRI"] == 9 and calls["Jalal"] == 5


@pytest.mark.parametrize("name", SHRED)
def test_inversion(name: str, tmp_path: Path) -> None:
    """Each case, setting, method and start has its row, and of full gradient and shortcut the calls."""
    config, prior = given(name), save_rgb_prior(tmp_path / "prior")
    methods = {label: small(method, prior) for label, method in config["methods"].items()}
    for method in methods.values():
        if method.get("method") == "shred":
            method["options"] = {**method["options"], "iterations": 2}
        if method.get("baseline") == "DeepImagePrior":
            method["options"] = {"steps": 2}
    config |= {"methods": methods, "data": {**config["data"], "crop": 16, "scenes": [0, 1]}}
    assert run(config, tmp_path / "out").failed == {}
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert len(rows) == len(methods) * len(config["settings"]) * len(config.get("seeds", [0]))
    calls = {row["method"]: row["calls"] for row in rows}
    assert calls["SHRED, shortcut"] == 4
    if name == "shred-table":
        assert set(calls) == {"A+ y", "DIP", "DDRM", "DDNM", "DPS", "SHRED", "SHRED, shortcut"} and calls["SHRED"] == 6
