"""What `prior.json` says beyond the first format: one size, classes, schedules by their ends, other networks, parts."""

import json

import pytest
import torch
from diffusers import UNet2DModel
from helpers.networks import rewrite
from torch import nn

from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.files import Stage
from medrestore.priors import EDM, Epsilon, Velocity, store
from medrestore.priors import architectures as networks
from medrestore.priors.parametrisations import (
    VarianceExploding,
    cosine_betas,
    linear_betas,
    scaled_linear_betas,
)


def tiny(**changes) -> UNet2DModel:
    torch.manual_seed(0)
    made = {"in_channels": 1, "out_channels": 1, "layers_per_block": 1, "block_out_channels": (8, 16), "norm_num_groups": 4,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    return UNet2DModel(**made | changes)


def saved(folder, net=None, **more):
    given = {"parametrisation": EDM(), "recipe": Interval(), "channels": 1, "multiple": 2, "card": {}} | more
    store.save(folder, net or tiny(), **given)
    return folder


def about(folder) -> dict:
    return json.loads((folder / "prior.json").read_text())


def test_the_shipped_prior_is_as_it_was():
    prior = store.load("brain-mr-starter")
    assert (prior.channels, prior.multiple, prior.size, prior.class_label) == (2, 8, None, None)


def test_one_size_is_kept(tmp_path):
    assert store.load(saved(tmp_path / "a")).size is None
    assert store.load(saved(tmp_path / "b", size=(16, 24))).size == (16, 24)
    for wrong in ([16], [15, 24], [0, 2], 16, "16x24", [16.0, 24]):
        rewrite(tmp_path / "b", size=wrong)
        with pytest.raises(InputError, match="as size, which must be two whole numbers"):
            store.load(tmp_path / "b")


SCHEDULES = {
    "linear": (linear_betas(2e-4, 0.03, 400), {"kind": "linear", "start": 2e-4, "end": 0.03, "steps": 400}),
    "scaled_linear": (scaled_linear_betas(0.0015, 0.0155),
                      {"kind": "scaled_linear", "start": 0.0015, "end": 0.0155, "steps": 1000}),
    "cosine": (cosine_betas(60), {"kind": "cosine", "steps": 60}),
    "of its own": ((0.001, 0.02, 0.3), [0.001, 0.02, 0.3]),
}


@pytest.mark.parametrize("kind", [Epsilon, Velocity])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_are_stored_by_their_ends(tmp_path, kind, schedule):
    betas, short = SCHEDULES[schedule]
    folder = saved(tmp_path / "a", parametrisation=kind(betas))
    stored = about(folder)["parametrisation"]["betas"]
    if isinstance(short, dict):
        assert stored.pop("kind") == short["kind"]
        short = {key: value for key, value in short.items() if key != "kind"}
    assert stored == pytest.approx(short)
    assert store.load(folder).parametrisation.betas == pytest.approx(betas, rel=1e-6)
    rewrite(folder, parametrisation={"kind": "epsilon", "betas": list(betas)})  # as the first priors have them
    assert store.load(folder).parametrisation.betas == betas


ENDS = {"kind": "linear", "start": 1e-4, "end": 0.02}


@pytest.mark.parametrize("betas", [
    ENDS | {"steps": 10**12}, ENDS | {"steps": 2.5}, ENDS, ENDS | {"start": "a", "steps": 9}, ENDS | {"end": 2.0, "steps": 9},
    {"kind": "magic", "steps": 10}, {"kind": ["linear"], "steps": 9}, {}, "linear", [0.1, None], [0.1, [0.2]],
])
def test_schedules_that_are_none_are_refused(tmp_path, betas):
    folder = saved(tmp_path / "a", parametrisation=Epsilon())
    rewrite(folder, parametrisation={"kind": "epsilon", "betas": betas})
    with pytest.raises(InputError, match=r"prior\.json describes"):
        store.load(folder)


def test_variance_exploding_and_priors_without_a_codec(tmp_path):
    loaded = store.load(saved(tmp_path / "a", parametrisation=VarianceExploding((0.02, 50.0)), recipe=None))
    assert loaded.parametrisation == VarianceExploding((0.02, 50.0)) and loaded.recipe is None


def test_classes_reach_the_network(tmp_path):
    net = tiny(num_class_embeds=3)
    folder = saved(tmp_path / "a", net)
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for label in range(3):
            prior = store.load(folder, label=label)
            expected = EDM().estimate(lambda x, t, k=label: net(x, t, torch.tensor([k, k])).sample, x, torch.full((2,), 0.5))
            torch.testing.assert_close(prior(x, 0.5), expected, rtol=1e-4, atol=1e-5)


class Gain(nn.Module):
    """A network that is none of diffusers."""

    def __init__(self, gain: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((gain,), 2.0))

    def forward(self, x, t):
        return self.gain.mean() * x


def test_other_networks_are_built_by_their_name(tmp_path, monkeypatch):
    monkeypatch.setitem(networks.BUILDERS, "Gain", lambda config: Gain(**config))
    folder = saved(tmp_path / "a", Gain(3), config={"_class_name": "Gain", "gain": 3})
    x = torch.ones(1, 1, 4, 4)
    expected = EDM().estimate(lambda x, t: 2 * x, x, torch.ones(1))
    torch.testing.assert_close(store.load(folder)(x, 1.0), expected)
    config = folder / store.CONFIG
    wrongs = [({"_class_name": "Os"}, "there is no network 'Os'"), ({"_class_name": ["Gain"]}, "cannot be loaded"),
              ({"_class_name": "Gain", "gain": 10**15}, "cannot be loaded"), ({"_class_name": "Gain"}, "cannot be loaded")]
    for wrong, says in wrongs:
        config.write_text(json.dumps(wrong))
        rewrite(folder)
        with pytest.raises(InputError, match=says):
            store.load(folder)


def test_heads_are_set_after_construction():
    config = {key: value for key, value in tiny(attention_head_dim=None, block_out_channels=(16, 32)).config.items()}
    net = networks.build({**config, "_class_name": "UNet2DModel", "num_heads": 4})
    heads = {module.heads for module in net.modules() if hasattr(module, "heads")}
    assert heads == {4}
    with pytest.raises(ValueError, match="32 channels cannot have 5 heads"):
        networks.build({**config, "_class_name": "UNet2DModel", "num_heads": 5})


def test_parts_are_kept_beside(tmp_path):
    torch.manual_seed(1)
    folder = saved(tmp_path / "a", parts={"guide": tiny(block_out_channels=(8, 8))})
    part = store.load_part(folder, "guide")
    assert part.config["block_out_channels"] == [8, 8] and not any(p.requires_grad for p in part.parameters())
    with pytest.raises(InputError, match="has no part 'vqvae'; it has: guide"):
        store.load_part(folder, "vqvae")
    weights = folder / "guide" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match="sha256 differs"):
        store.load_part(folder, "guide")
    with pytest.raises(InputError, match="it has: none"):
        store.load_part(saved(tmp_path / "b"), "guide")


def test_weights_kept_in_half_the_space_are_read_as_float32(tmp_path):
    paths = saved(tmp_path / "whole"), saved(tmp_path / "half", half=True)
    sizes = [(path / store.WEIGHTS).stat().st_size for path in paths]
    assert sizes[1] < 0.75 * sizes[0]  # the header is as long
    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    whole, half = (store.load(path)(x, 0.5) for path in paths)
    assert half.dtype == torch.float32
    assert 0 < (whole - half).abs().max() < 2e-3 * whole.abs().max()


@pytest.mark.parametrize("changes", [
    {"parametrisation": {"kind": "edm", "sigma_data": 10**400}}, {"parametrisation": {"kind": "edm", "sigma_data": 0}},
    {"parametrisation": {"kind": "epsilon", "betas": []}}, {"parametrisation": {"kind": "epsilon", "betas": [0.1, 1.5]}},
    {"parametrisation": {"kind": "epsilon", "betas": {"kind": "linear", "start": 10**400, "steps": 9}}},
    {"recipe": {"kind": "interval", "low": 1, "high": 1}}, {"recipe": {"kind": "calibrated_complex", "quantile": 5}},
])
def test_numbers_that_make_no_sense(tmp_path, changes):
    saved(tmp_path)
    rewrite(tmp_path, **changes)
    with pytest.raises(InputError, match="with their numbers are known"):
        store.load(tmp_path)


def test_what_has_no_name_on_disk_is_not_written(tmp_path):
    class Mine(EDM):
        pass

    with pytest.raises(InputError, match="a Mine cannot be kept on disk; EDM, Epsilon"):
        saved(tmp_path / "a", parametrisation=Mine())
    assert not (tmp_path / "a").exists()


def test_absurd_depth_and_huge_descriptions_cost_nothing(tmp_path):
    saved(tmp_path)
    path = tmp_path / store.CONFIG
    for wrong in ({"layers_per_block": 10**9}, {"block_out_channels": [8] * 1000}):
        good = path.read_text()
        path.write_text(json.dumps(json.loads(good) | wrong))
        rewrite(tmp_path)
        with pytest.raises(InputError, match="at most 64"):
            store.load(tmp_path)
        path.write_text(good)
    with (tmp_path / "prior.json").open("ab") as file:
        file.truncate(store.LARGEST_JSON + 1)
    with pytest.raises(InputError, match="larger than 16 MiB"):
        store.describe(tmp_path)


def test_a_prior_that_a_killed_run_moved_away_is_not_lost(tmp_path):
    out = tmp_path / "out"
    left = Stage(out)
    saved(left.folder / "old")
    left.leave()
    with pytest.raises(InputError, match="pass `overwrite` to replace the prior"), store.new_prior(out) as folder:
        saved(folder)
    assert store.load(out).channels == 1 and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_a_prior_is_replaced_and_only_when_it_may_be(tmp_path):
    for replace in (False, True):
        (tmp_path / f"{replace}").mkdir()
        (tmp_path / f"{replace}" / "photo.png").write_text("precious")
        with pytest.raises(InputError, match="it is no prior"), store.new_prior(tmp_path / f"{replace}", replace=replace):
            pass
    for _ in range(2):
        with store.new_prior(tmp_path / "out", replace=True) as folder:
            saved(folder)
    assert store.load(tmp_path / "out").channels == 1 and len(list(tmp_path.iterdir())) == 3


def test_two_writers_of_one_prior(tmp_path):
    """The second is refused, whatever it may replace, and what the first one writes is its own."""
    with store.new_prior(tmp_path / "out") as folder:
        saved(folder, channels=1)
        for replace in (False, True):
            with pytest.raises(InputError, match="out is being written by another run"), store.new_prior(
                tmp_path / "out", replace=replace
            ) as other:
                saved(other, multiple=4)
    assert store.load(tmp_path / "out").multiple == 2 and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_notes_in_the_folder_of_a_prior_are_never_lost(tmp_path):
    for _ in range(2):
        with store.new_prior(tmp_path / "out", replace=True) as folder:
            saved(folder)
    (tmp_path / "out" / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match=r"out holds notes\.txt, which medrestore did not write"):
        store.check_free(tmp_path / "out", replace=True)
