"""Configs of studies: what each kind of data can have, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.studies import NATURAL, PHANTOMS, SCENES, TINY, changed

from medrestore.errors import InputError
from medrestore.study.config import (
    PROTOCOLS,
    Baseline,
    Fill,
    PictureConfig,
    ScanConfig,
    ScanMethod,
    SceneConfig,
    SceneMethod,
    as_plain,
    read,
)
from medrestore.study.sources import Phantoms, Undersample

CONFIGS = Path(__file__).parents[2] / "configs" / "evaluate"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configs_are_read_and_written_again(path: Path) -> None:
    config = read(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)
    again = yaml.safe_load(yaml.safe_dump(as_plain(config)))
    assert read(again, "again") == config and config.protocol in PROTOCOLS


def test_the_kind_of_data_decides_the_classes() -> None:
    scans, pictures, scenes = (read(given, "x") for given in (TINY, NATURAL, SCENES))
    assert isinstance(scans, ScanConfig) and isinstance(pictures, PictureConfig) and isinstance(scenes, SceneConfig)
    assert scans.data == Phantoms(count=2, size=(40, 40), coils=3) and scans.settings == (Undersample("uniform1d", 2.0, 12),)
    assert isinstance(scans.methods["ZF"], Baseline) and isinstance(scenes.methods["none"], Fill)
    with_method = read({**SCENES, "methods": {"D": {"method": "ddnm+", "travel": [4, 2]}}}, "x")
    assert with_method.methods["D"] == SceneMethod("ddnm+", travel=(4, 2))
    assert [condition.name for condition in scenes.conditions] == ["scenes"]


def test_tuning_is_every_combination_of_the_values() -> None:
    method = ScanMethod("dds", options={"eta": 0.5}, tune={"gamma": (1.0, 5.0), "cg_steps": (3, None)})
    candidates = method.candidates()
    assert [chosen for chosen, _ in candidates] == [
        {"gamma": 1.0, "cg_steps": 3}, {"gamma": 1.0, "cg_steps": None}, {"gamma": 5.0, "cg_steps": 3},
        {"gamma": 5.0, "cg_steps": None}]
    assert candidates[-1][1] == ScanMethod("dds", options={"eta": 0.5, "gamma": 5.0, "cg_steps": None})
    assert Fill("mean").candidates() == [({}, Fill("mean"))] and not Fill("mean").tuned


def test_paths_are_those_that_must_exist() -> None:
    config = read(changed(data={"kind": "kspace", "files": ["a.h5", "b*.h5"]}, lpips=["l.pt"], validation=None, methods={
        "CG": {"baseline": "RSS"}, "U": {"baseline": "UNet", "weights": "unet"}, "D": {"method": "dds", "prior": "runs/mine"},
        "E": {"method": "dds", "prior": "brain-mr-starter"}}), "x")
    assert config.paths == ["l.pt", "a.h5", "unet", "runs/mine"]


@pytest.mark.parametrize(("given", "message"), [
    (changed(validation=None), "methods.CG has tune, which needs validation"),
    (changed(protcol="x"), "protcol is no option; did you mean protocol?"),
    (changed(protocol="natural"), "protocol must be one of fastmri, fastmri-slice, complex, got 'natural'"),
    (changed(data={"kind": "kspase"}), "data.kind must be one of simulated, phantoms, kspace, pictures, scenes, got 'kspase'"),
    (changed(data="x"), "data.kind must be one of .*, got 'x'"),
    ({"protocol": "fastmri"}, "data is missing"),
    (changed(validation=NATURAL["data"]), "validation.kind must be one of simulated, phantoms, kspace, got 'pictures'"),
    (changed(data={**PHANTOMS, "cuont": 2}), "data.cuont is no option; did you mean data.count?"),
    (changed(data={**PHANTOMS, "count": 0}), "data.count must be at least 1, got 0"),
    (changed(settings=[]), "settings is empty"),
    (changed(settings={}), "settings must be a list"),
    (changed(settings=[{"kind": "unifrm1d", "accel": 4}]), r"settings\[0\].kind .*'unifrm1d'"),
    (changed(settings=[{"kind": "uniform1d", "accel": 0.5}]), r"settings\[0\].accel must be at least 1, got 0.5"),
    (changed(settings=[{"kind": "uniform1d", "accel": 4}] * 2), "settings has two called 'uniform1d 4x'; give each a label"),
    (changed(methods={"X": {"method": "dds", "window": 64}}), "methods.X.window is no option"),
    (changed(methods={"X": {"fill": "mean"}}), "methods.X needs exactly one of baseline and method, got none"),
    (changed(methods={"X": {}}), "methods.X needs exactly one of baseline and method, got none"),
    (changed(methods={"X": {"baseline": "RSS", "method": "dds"}}), "methods.X needs exactly one .* got baseline, method"),
    (changed(methods={"X": {"baseline": "RSS", "steps": 3}}), "methods.X.steps is no option"),
    (changed(methods={"X": {"baseline": "CGSense", "tune": {"lam": []}}}), "methods.X.tune.lam has no values to try"),
    (changed(methods={"X": {"method": "dds", "uncertainty": True}}), "methods.X.uncertainty needs samples of at least 2, got 1"),
    (changed(against="TV"), "against is 'TV', which is no method"),
    (changed(seeds=[0, 0]), "seeds must be different"),
    (changed(seeds=[-1]), r"seeds\[0\] must be at least 0, got -1"),
    (changed(pictures=-1), "pictures must be at least 0, got -1"),
    (changed(threads=0), "threads must be at least 1, got 0"),
    ({**NATURAL, "methods": {"X": {"method": "ddnm", "uncertainty": True}}}, "methods.X.uncertainty is no option"),
    ({**NATURAL, "methods": {"X": {"method": "ddnm", "start_sigma": 1.0}}}, "methods.X.start_sigma is no option"),
    ({**NATURAL, "methods": {"X": {"method": "ddnm", "ladder": "ddpm"}}}, "methods.X.ladder needs sigma_max"),
    ({**NATURAL, "methods": {}}, "methods is empty"),
    ({**NATURAL, "settings": [{"kind": "inpainting", "box": -8}]}, r"settings\[0\].box must be at least 1, got -8"),
    ({**SCENES, "methods": {"X": {"method": "ddnm", "ladder": "ddpm"}}}, "methods.X.ladder is no option"),
    ({**SCENES, "methods": {"X": {"baseline": "RSS"}}}, "methods.X needs exactly one of fill and method, got none"),
    ({**SCENES, "settings": [{"kind": "colorization"}]}, "settings is no option"),
])
def test_what_makes_no_sense_is_refused_with_its_key(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^my.yaml: {message}"):
        read(given, "my.yaml")


def test_python_is_refused_like_yaml() -> None:
    with pytest.raises(InputError, match="ScanMethod: uncertainty needs samples of at least 2"):
        ScanMethod("dds", uncertainty=True)
    with pytest.raises(InputError, match="ScanConfig: methods is empty"):
        ScanConfig(protocol="fastmri", data=Phantoms(count=1), methods={}, settings=(Undersample("uniform1d", 2.0),))
