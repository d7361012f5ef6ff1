"""Networks as files: small, checked, and on the device that is asked for."""

import json

import pytest
import torch
from helpers.networks import rewrite, saved_prior, tiny_unet

from medrestore.errors import InputError
from medrestore.priors import store
from medrestore.priors.descriptions import LARGEST_JSON
from medrestore.priors.network_files import CONFIG, WEIGHTS, device_of, network_config, read_network, write_network


def test_a_network_comes_back_as_it_was_written(tmp_path):
    net = tiny_unet()
    sha256 = write_network(tmp_path / "unet", net, None)
    again = read_network(tmp_path, WEIGHTS, network_config(tmp_path, "unet", {}), sha256)
    for (name, one), (_, other) in zip(net.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(one, other), name
    with pytest.raises(InputError, match="sha256 differs"):
        read_network(tmp_path, WEIGHTS, network_config(tmp_path, "unet", {}), "0" * 64)


def test_a_device_is_named():
    assert device_of("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="'abacus' names no device"):
        device_of("abacus")


def test_weights_kept_in_half_the_space_are_read_as_float32(tmp_path):
    paths = saved_prior(tmp_path / "whole"), saved_prior(tmp_path / "half", half=True)
    sizes = [(path / WEIGHTS).stat().st_size for path in paths]
    assert sizes[1] < 0.75 * sizes[0]  # the header is as long
    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    whole, half = (store.load(path)(x, 0.5) for path in paths)
    assert half.dtype == torch.float32
    assert 0 < (whole - half).abs().max() < 2e-3 * whole.abs().max()


def test_absurd_depth_and_huge_descriptions_cost_nothing(tmp_path):
    saved_prior(tmp_path)
    path = tmp_path / CONFIG
    for wrong in ({"layers_per_block": 10**9}, {"block_out_channels": [8] * 1000}):
        good = path.read_text()
        path.write_text(json.dumps(json.loads(good) | wrong))
        rewrite(tmp_path)
        with pytest.raises(InputError, match="at most 64"):
            store.load(tmp_path)
        path.write_text(good)
    with (tmp_path / "prior.json").open("ab") as file:
        file.truncate(LARGEST_JSON + 1)
    with pytest.raises(InputError, match="larger than 16 MiB"):
        store.describe(tmp_path)
