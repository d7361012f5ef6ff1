"""Priors on disk: as they were saved, or refused in a sentence."""

import json

import pytest
import torch
from diffusers import UNet2DModel
from helpers.networks import rewrite

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.files import digest
from medrestore.priors import EDM, Epsilon, NetworkPrior, Sample, Velocity, store
from medrestore.priors.descriptions import FIELDS
from medrestore.priors.network_files import CONFIG, WEIGHTS
from medrestore.priors.parametrisations import scaled_linear_betas


def tiny(seed: int = 0) -> UNet2DModel:
    torch.manual_seed(seed)
    return UNet2DModel(sample_size=16, in_channels=2, out_channels=2, layers_per_block=1, block_out_channels=(8, 8),
                       down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
                       norm_num_groups=4, add_attention=False)


CARD = {"data": "none", "licence": "Apache-2.0"}


@pytest.fixture
def folder(tmp_path):
    store.save(tmp_path / "prior", tiny(), parametrisation=EDM(sigma_data=0.4, time_scale=60.0, sigmas=(0.01, 40.0)),
               recipe=CalibratedComplex(0.98), channels=2, multiple=2, card=CARD)
    return tmp_path / "prior"


def test_a_prior_comes_back_as_it_was_saved(folder):
    loaded = store.load(folder)
    assert loaded.parametrisation == EDM(sigma_data=0.4, time_scale=60.0, sigmas=(0.01, 40.0))
    assert (loaded.recipe, loaded.channels, loaded.multiple, loaded.sigma_range) == (CalibratedComplex(0.98), 2, 2, (0.01, 40.0))
    assert store.describe(folder)["card"] == CARD
    original = NetworkPrior(tiny(), loaded.parametrisation, channels=2)
    x = torch.randn(2, 2, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(loaded(x, 0.7), original(x, 0.7), rtol=1e-4, atol=1e-5)
    assert not any(p.requires_grad for p in loaded.net.parameters())


@pytest.mark.parametrize("kind", [Epsilon(), Velocity(scaled_linear_betas(0.0015, 0.0195)), Sample()],
                         ids=lambda k: type(k).__name__)
def test_every_kind_is_stored(tmp_path, kind):
    store.save(tmp_path, tiny(), parametrisation=kind, recipe=Interval(0.0, 255.0), channels=2, multiple=2, card=CARD)
    loaded = store.load(tmp_path)
    assert type(loaded.parametrisation) is type(kind) and loaded.recipe == Interval(0.0, 255.0)
    sigma = torch.tensor([0.5, 3.0])
    torch.testing.assert_close(loaded.parametrisation.timestep(sigma), kind.timestep(sigma))


def edit(folder, path="prior.json", **changes) -> None:
    """By hand, so that the digest is that of what stood there before."""
    about = json.loads((folder / path).read_text())
    for key, value in changes.items():
        about[key] = about[key] | value if isinstance(value, dict) else value
    (folder / path).write_text(json.dumps(about))


def alter(folder) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")


def truncate(folder, *, rehash: bool = True) -> None:
    weights = folder / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-100])
    if rehash:
        rewrite(folder, sha256=digest(weights))


def swap_config(folder) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, "block_out_channels": [16, 16]}))
    rewrite(folder)


BROKEN = {
    "altered": (alter, "sha256 differs"),
    "truncated": (truncate, "cannot be loaded"),
    "cut short": (lambda f: truncate(f, rehash=False), "sha256 differs"),
    "no description": (lambda f: (f / "prior.json").unlink(), "no prior at"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "as safetensors"),
    "no config": (lambda f: (f / CONFIG).unlink(), "cannot be loaded"),
    "another network": (swap_config, "cannot be loaded"),
    "edited network": (lambda f: edit(f, CONFIG, norm_num_groups=2), "config.json was altered after it was written"),
    "edited sigma_data": (lambda f: edit(f, parametrisation={"sigma_data": 5.0}), "prior.json was altered after it was written"),
    "edited range": (lambda f: edit(f, recipe={"high": 1.0}), "prior.json was altered after it was written"),
    "edited multiple": (lambda f: edit(f, multiple=4), "prior.json was altered after it was written"),
    "edited digest": (lambda f: edit(f, digest="0" * 64), "prior.json was altered after it was written"),
    "not JSON": (lambda f: (f / "prior.json").write_text("{'format': 1"), "not readable JSON"),
    "binary JSON": (lambda f: (f / "prior.json").write_bytes(b"\xff\xfe\x00"), "not readable JSON"),
    "a list": (lambda f: (f / "prior.json").write_text("[1, 2]"), "lacks"),
    "a number": (lambda f: (f / "prior.json").write_text("3"), "lacks"),
    "a null": (lambda f: (f / "prior.json").write_text("null"), "lacks"),
    "field names alone": (lambda f: (f / "prior.json").write_text(json.dumps(sorted(FIELDS))), "lacks"),
    "later format": (lambda f: rewrite(f, format=99), "format 1"),
    "lacking field": (lambda f: rewrite(f, recipe=None), "lacks recipe"),
    "unknown target": (lambda f: rewrite(f, parametrisation={"kind": "score"}), "epsilon"),
    "target not a table": (lambda f: rewrite(f, parametrisation="edm"), "epsilon"),
    "unknown recipe": (lambda f: rewrite(f, recipe={"kind": "interval", "width": 3}), "interval"),
    "wrong values": (lambda f: rewrite(f, parametrisation={"kind": "edm", "sigma_data": "much"}), "prior.json"),
    "wrong channels": (lambda f: rewrite(f, channels="two"), "channels"),
    "other channels": (lambda f: rewrite(f, channels=3), "channels"),
    "no multiple": (lambda f: rewrite(f, multiple=0), "multiple"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_priors_are_refused_in_a_sentence(folder, broken):
    breaks, says = BROKEN[broken]
    breaks(folder)
    with pytest.raises(InputError, match=says) as refusal:
        store.load(folder)
    message = str(refusal.value)
    assert str(folder) in message and "\n" not in message and "Traceback" not in message


def test_pickled_checkpoints_are_not_loaded(tmp_path):
    checkpoint = tmp_path / "model.pt"
    torch.save(tiny().state_dict(), checkpoint)
    with pytest.raises(InputError, match="not loaded"):
        store.load(checkpoint)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match="no prior at"):
        store.load("no-such-prior")


def test_prose_may_be_edited(folder):
    edit(folder, card={"licence": "MIT"})
    edit(folder, licence="MIT")
    assert store.describe(folder)["card"]["licence"] == "MIT"
    store.load(folder)


def test_a_description_of_an_earlier_version_has_no_digest(folder):
    about = store.describe(folder)
    for name in ("digest", "config_sha256"):
        del about[name]
    (folder / "prior.json").write_text(json.dumps(about))
    store.load(folder)
