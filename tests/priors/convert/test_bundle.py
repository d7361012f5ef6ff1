"""Facts of a MONAI bundle's configuration, read as data; whole bundles are in `test_monai.py`."""

import json
from pathlib import Path
from typing import Any

import pytest

from medrestore.errors import InputError
from medrestore.priors.convert.bundle import bundle_facts

NETWORK = {"_target_": "monai.networks.nets.DiffusionModelUNet", "spatial_dims": 2, "channels": "@widths"}


def facts(folder: Path, **files: Any) -> dict[str, Any]:
    """The facts of a bundle with these configurations; underlined names are those of MONAI."""
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    for name, config in files.items():
        text = config if isinstance(config, str) else json.dumps(config)
        (folder / "configs" / f"{name}.json").write_text(text)
    return bundle_facts(folder)


def test_references_are_followed_by_either_sign(tmp_path) -> None:
    config = {"net": NETWORK, "widths": "@sizes::wide#1", "sizes": {"wide": [[8], [16, 32]]}}
    assert facts(tmp_path, train=config)["channels"] == [16, 32]


def test_defaults_of_network_and_scheduler(tmp_path) -> None:
    config = {"net": NETWORK, "widths": [8]}
    assert facts(tmp_path / "a", train=config) == {"num_head_channels": 8, "spatial_dims": 2, "channels": [8]}
    config["scheduler"] = {"_target_": "DDIMScheduler", "beta_schedule": "cosine", "clip_sample": "$True"}
    assert facts(tmp_path / "b", train=config) == {
        "num_head_channels": 8, "spatial_dims": 2, "channels": [8], "num_train_timesteps": 1000, "schedule": "cosine",
        "prediction_type": "epsilon"}


def test_inference_goes_before_training_and_network_def_before_others(tmp_path) -> None:
    found = facts(tmp_path, train={"net": NETWORK, "widths": [8]},
                  inference={"critic": {**NETWORK, "channels": [4]}, "network_def": {**NETWORK, "channels": [64]}},
                  metadata={"net": {**NETWORK, "channels": [2]}})
    assert found["channels"] == [64]


@pytest.mark.parametrize(("transforms", "expected"), [
    ([{"_target_": "ScaleIntensityRanged", "b_min": 0.0, "b_max": 1.0}], {"low": -1.0, "high": 1.0}),
    ([{"_target_": "ScaleIntensityRange", "b_min": -1, "b_max": 1}], {"low": 0.0, "high": 1.0}),
    ([{"_target_": "ScaleIntensityd"}], {"low": -1.0, "high": 1.0}),
    ([{"_target_": "ScaleIntensityd", "minv": -1.0}], {"low": 0.0, "high": 1.0}),
    ([{"_target_": "ScaleIntensityRanged", "b_min": 0.0}], {}),
    ([{"_target_": "ScaleIntensityRanged", "b_min": 0, "b_max": 255}], {}),
    ([{"_target_": "ScaleIntensityd"}, {"_target_": "ScaleIntensityd", "minv": -1}], {}),
    ([], {}),
])
def test_the_value_range_is_that_on_which_all_transforms_agree(tmp_path, transforms, expected) -> None:
    found = facts(tmp_path, train={"net": NETWORK, "widths": [8], "transforms": transforms})
    assert {key: value for key, value in found.items() if key in ("low", "high")} == expected


@pytest.mark.parametrize(("config", "message"), [
    ({"net": {"_target_": "UNet"}}, "names no DiffusionModelUNet"),
    ({"net": NETWORK, "widths": "$[8, 16]"}, "read, never run"),
    ({"net": NETWORK}, "refers to @widths, which it does not hold"),
    ({"net": NETWORK, "widths": "@widths"}, "a plain value is needed"),
    ({"net": NETWORK, "widths": [8], "autoencoder_def": {}}, "latent diffusion network"),
    ("[1]", "holds no configuration"), ("{", "not readable JSON"),
])
def test_what_cannot_be_followed_is_refused(tmp_path, config, message) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        facts(tmp_path, train=config)
    assert "\n" not in str(refusal.value)


def test_lists_of_references_to_lists_take_no_time(tmp_path) -> None:
    """64 to the power of 15 entries in 20 kB."""
    levels = {f"x{k}": [f"@x{k + 1}"] * 64 for k in range(15)}
    with pytest.raises(InputError, match="a plain value is needed"):
        facts(tmp_path, train={"net": NETWORK, "widths": "@x0", **levels, "x15": [1]})
