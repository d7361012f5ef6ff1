"""Spaces of codes on disk and in memory."""

import json
from pathlib import Path

import pytest
import torch
from helpers.autoencoders import autoencoder

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.priors import spaces
from medrestore.priors.spaces import LatentSpace, peak_of


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["kl", "vq"])
@torch.no_grad()
def test_codes_are_scaled_and_come_back(kind: str) -> None:
    net, image = autoencoder(kind), picture(2, 2, 8, 12)
    space = LatentSpace(net, 2.5)
    z = space.encode(image)
    assert torch.allclose(z, 2.5 * net.encode(image)) and z.shape == (2, 3, 4, 6)
    assert torch.allclose(space.decode(z), net(image), atol=1e-6)
    assert (space.factor, space.channels, space.code_channels) == (2, 2, 3)
    assert not any(weight.requires_grad for weight in net.parameters())


@pytest.mark.parametrize("half", [False, True])
@torch.no_grad()
def test_it_comes_back_from_its_folder(tmp_path: Path, half: bool) -> None:
    image = picture(1, 2, 8, 8)
    space = LatentSpace(autoencoder(), 0.7, CalibratedComplex(0.98))
    space.save(tmp_path, {"name": "test"}, half=half)
    loaded = spaces.load(tmp_path)
    assert loaded.scale == 0.7 and loaded.recipe == CalibratedComplex(0.98)
    torch.testing.assert_close(loaded.encode(image), space.encode(image), rtol=0, atol=1e-2 if half else 1e-6)
    assert spaces.describe(tmp_path)["card"] == {"name": "test"}


def test_what_was_altered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no autoencoder.json; give the folder of a trained autoencoder"):
        spaces.load(tmp_path)
    LatentSpace(autoencoder()).save(tmp_path, {})
    about = json.loads((tmp_path / "autoencoder.json").read_text())
    (tmp_path / "autoencoder.json").write_text(json.dumps(about | {"scale": 2.0}))
    with pytest.raises(InputError, match="was altered after it was written"):
        spaces.load(tmp_path)
    (tmp_path / "autoencoder.json").write_text(json.dumps({"format": 1}))
    with pytest.raises(InputError, match="lacks config_sha256, digest, recipe, scale, sha256"):
        spaces.load(tmp_path)
    (tmp_path / "autoencoder.json").write_text(json.dumps(about))
    weights = tmp_path / "autoencoder" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(InputError, match="its sha256 differs"):
        spaces.load(tmp_path)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_that_are_none_are_refused(scale: float) -> None:
    with pytest.raises(InputError, match="above 0, got"):
        LatentSpace(autoencoder(), scale)


def test_another_network_is_no_autoencoder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has a Linear where an autoencoder is needed"):
        spaces.autoencoder_of(torch.nn.Linear(1, 1), tmp_path)


def test_the_range_of_images() -> None:
    assert peak_of(Interval()) == 2 and peak_of(CalibratedComplex()) == 1 and peak_of(None) == 2
