"""Trained baselines on disk."""

import json

import pytest
import torch
from helpers.slices import scan
from helpers.trained import SMALL, network

from medrestore.baselines import Supervised, load, save
from medrestore.errors import InputError


@pytest.mark.parametrize("kind", SMALL)
def test_saved_and_loaded_it_is_the_same(kind, tmp_path):
    kspace, maps, mask, _ = scan(31, 26)
    baseline = Supervised(network(kind), {"licence": "Apache-2.0"})
    save(tmp_path / "it", baseline)
    again = load(tmp_path / "it")
    assert torch.equal(baseline.reconstruct(kspace, maps, mask), again.reconstruct(kspace, maps, mask))
    assert again.card == {"licence": "Apache-2.0"} and not any(weight.requires_grad for weight in again.net.parameters())


def change(path, **values):
    about = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in about.items() if value is not None}))


@pytest.mark.parametrize(("values", "complaint"), [
    ({"format": 9}, "format 1"), ({"kind": "resnet"}, "no trained baseline 'resnet'"), ({"kind": ["unet"]}, "another type"),
    ({"arguments": {"channels": "many"}}, "must be a whole number"),
    ({"arguments": {"layers": 3}}, "layers is no option; there are: channels"),
    ({"arguments": {"channels": 10**9}}, "channels must be at least 1 and at most 512, got 1000000000"),
    ({"arguments": {"channels": 8}}, "does not hold the weights"),
    ({"arguments": [4]}, "another type"), ({"sha256": "0" * 64}, "sha256 differs"),
    ({"sha256": None}, "lacks"), ({"card": 3}, "lacks"),
])
def test_a_description_that_lies_is_refused(tmp_path, values, complaint):
    save(tmp_path, Supervised(network("unet")))
    change(tmp_path / "baseline.json", **values)
    with pytest.raises(InputError, match=complaint) as refused:
        load(tmp_path)
    assert "\n" not in str(refused.value)


def test_broken_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path / "nowhere")
    save(tmp_path, Supervised(network("unet")))
    path, about = tmp_path / "weights.safetensors", tmp_path / "baseline.json"
    whole = path.read_bytes()
    from medrestore.files import digest

    for data in (whole[:-100], b"", b"\xff" * 100, (2**60).to_bytes(8, "little") + whole[8:]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="sha256 differs"):
            load(tmp_path)
        change(about, sha256=digest(path))  # a liar who knows the hash
        with pytest.raises(InputError, match="does not hold the weights"):
            load(tmp_path)
        change(about, sha256=digest(path))
        path.write_bytes(whole)
        change(about, sha256=digest(path))
    path.unlink()
    with pytest.raises(InputError, match=r"has no weights\.safetensors"):
        load(tmp_path)
    for text in ("[" * 100_000, "{", "[]", " " * 2**21):
        about.write_text(text)
        with pytest.raises(InputError):
            load(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    net = network("unet")
    next(net.parameters()).data[0] = float("nan")
    save(tmp_path, Supervised(net))
    with pytest.raises(InputError, match="not finite"):
        load(tmp_path)
