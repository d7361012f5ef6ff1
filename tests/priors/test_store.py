"""What `prior.json` says beyond the first format: one size, classes, schedules by their ends, other networks, parts."""

import json

import pytest
import torch
from helpers.networks import rewrite, saved_prior, tiny_unet
from torch import nn

from medrestore.errors import InputError
from medrestore.files import Stage
from medrestore.priors import EDM, store
from medrestore.priors import architectures as networks
from medrestore.priors.network_files import CONFIG
from medrestore.priors.parametrisations import (
    VarianceExploding,
)


def test_the_shipped_prior_is_as_it_was():
    prior = store.load("brain-mr-starter")
    assert (prior.channels, prior.multiple, prior.size, prior.class_label) == (2, 8, None, None)


def test_variance_exploding_and_priors_without_a_codec(tmp_path):
    loaded = store.load(saved_prior(tmp_path / "a", parametrisation=VarianceExploding((0.02, 50.0)), recipe=None))
    assert loaded.parametrisation == VarianceExploding((0.02, 50.0)) and loaded.recipe is None


def test_classes_reach_the_network(tmp_path):
    net = tiny_unet(num_class_embeds=3)
    folder = saved_prior(tmp_path / "a", net)
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
    folder = saved_prior(tmp_path / "a", Gain(3), config={"_class_name": "Gain", "gain": 3})
    x = torch.ones(1, 1, 4, 4)
    expected = EDM().estimate(lambda x, t: 2 * x, x, torch.ones(1))
    torch.testing.assert_close(store.load(folder)(x, 1.0), expected)
    config = folder / CONFIG
    wrongs = [({"_class_name": "Os"}, "there is no network 'Os'"), ({"_class_name": ["Gain"]}, "cannot be loaded"),
              ({"_class_name": "Gain", "gain": 10**15}, "cannot be loaded"), ({"_class_name": "Gain"}, "cannot be loaded")]
    for wrong, says in wrongs:
        config.write_text(json.dumps(wrong))
        rewrite(folder)
        with pytest.raises(InputError, match=says):
            store.load(folder)


def test_heads_are_set_after_construction():
    config = {key: value for key, value in tiny_unet(attention_head_dim=None, block_out_channels=(16, 32)).config.items()}
    net = networks.build_network({**config, "_class_name": "UNet2DModel", "num_heads": 4})
    heads = {module.heads for module in net.modules() if hasattr(module, "heads")}
    assert heads == {4}
    with pytest.raises(ValueError, match="32 channels cannot have 5 heads"):
        networks.build_network({**config, "_class_name": "UNet2DModel", "num_heads": 5})


def test_parts_are_kept_beside(tmp_path):
    torch.manual_seed(1)
    folder = saved_prior(tmp_path / "a", parts={"guide": tiny_unet(block_out_channels=(8, 8))})
    part = store.load_part(folder, "guide")
    assert part.config["block_out_channels"] == [8, 8] and not any(p.requires_grad for p in part.parameters())
    with pytest.raises(InputError, match="has no part 'vqvae'; it has: guide"):
        store.load_part(folder, "vqvae")
    weights = folder / "guide" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match="sha256 differs"):
        store.load_part(folder, "guide")
    with pytest.raises(InputError, match="it has: none"):
        store.load_part(saved_prior(tmp_path / "b"), "guide")


def test_a_prior_that_a_killed_run_moved_away_is_not_lost(tmp_path):
    out = tmp_path / "out"
    left = Stage(out)
    saved_prior(left.folder / "old")
    left.leave()
    with pytest.raises(InputError, match="pass `overwrite` to replace the prior"), store.new_prior(out) as folder:
        saved_prior(folder)
    assert store.load(out).channels == 1 and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_only_a_prior_is_replaced_and_only_when_it_may_be(tmp_path):
    for replace in (False, True):
        (tmp_path / f"{replace}").mkdir()
        (tmp_path / f"{replace}" / "photo.png").write_text("precious")
        with pytest.raises(InputError, match="it is no prior"), store.new_prior(tmp_path / f"{replace}", replace=replace):
            pass
    for _ in range(2):
        with store.new_prior(tmp_path / "out", replace=True) as folder:
            saved_prior(folder)
    assert store.load(tmp_path / "out").channels == 1 and len(list(tmp_path.iterdir())) == 3


def test_two_writers_of_one_prior(tmp_path):
    """The second is refused, whatever it may replace, and what the first one writes is its own."""
    with store.new_prior(tmp_path / "out") as folder:
        saved_prior(folder, channels=1)
        for replace in (False, True):
            with pytest.raises(InputError, match="out is being written by another run"), store.new_prior(
                tmp_path / "out", replace=replace
            ) as other:
                saved_prior(other, multiple=4)
    assert store.load(tmp_path / "out").multiple == 2 and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_notes_in_the_folder_of_a_prior_are_never_lost(tmp_path):
    for _ in range(2):
        with store.new_prior(tmp_path / "out", replace=True) as folder:
            saved_prior(folder)
    (tmp_path / "out" / "notes.txt").write_text("precious")
    with pytest.raises(InputError, match=r"out holds notes\.txt, which medrestore did not write"):
        store.check_free(tmp_path / "out", replace=True)
