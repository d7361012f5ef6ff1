"""Every family against one forward of its original program.

`golden.json` holds, for each network: its source (repository and commit, or package and version), the arguments that its class
was made with, keys and shapes of its state dict, and numbers of its output for the weights and inputs of `tests.helpers.golden`.
To make more, build the network from its source, load `weights(shapes)` and call it with `uniform("x", *x)` at the time `t`.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from medrestore.priors.architectures import tensor_of
from medrestore.priors.convert import FAMILIES, adm_classifier
from medrestore.priors.convert.base import Converted
from medrestore.priors.latent import AUTOENCODER

from ...helpers.golden import numbers, uniform, weights

CASES = json.loads((Path(__file__).parent / "golden.json").read_text())


def state_of(case: dict) -> dict[str, Tensor]:
    fixed = {key: torch.tensor(values).reshape(case["shapes"][key]) for key, values in case["fixed"].items()}
    return weights(case["shapes"]) | fixed


def converted(name: str, **given: object) -> Converted:
    case = CASES[name]
    state = state_of(case)
    if "diffusers" in case["source"]:
        (family,) = (one for one in FAMILIES if one.name == "diffusers folder")
        return family.convert(state, {"config": case["config"], "scheduler": None, **case["given"], **given})
    family = next(one for one in FAMILIES if one.recognises({key: tuple(value.shape) for key, value in state.items()}))
    return family.convert(state, {**case["given"], **given})


def answer(name: str, made: Converted) -> Tensor:
    case = CASES[name]
    x, t = uniform("x", *case["x"]), torch.tensor([case["t"]])
    label = {"class_labels": torch.tensor([3])} if name == "edm, classes" else {}
    with torch.no_grad():
        return tensor_of(made.parts[AUTOENCODER](x) if "autoencoder" in name else made.net(x, t, **label))


def off(name: str, made: Converted) -> float:
    """The largest difference to the original, in units of the std of its output."""
    expected = torch.tensor(CASES[name]["numbers"])
    return float((torch.tensor(numbers(answer(name, made))) - expected).abs().max() / expected[1])


@pytest.mark.parametrize("name", CASES)
def test_the_converted_network_answers_as_the_original(name):
    assert off(name, converted(name)) < 1e-4


@pytest.mark.parametrize(("name", "changed"), [
    ("adm, older order", {"new_attention_order": True}),
    ("adm, older order", {"num_heads": 8}),
    ("adm, heads on the way up", {"num_heads_upsample": 2}),
    ("ncsn++, residual", {"skip_rescale": False}),
    ("ncsn++, not by sigma", {"scale_by_sigma": True}),
    ("monai generative", {"num_head_channels": 16}),
    ("monai generative", {"norm_num_groups": 4}),
])
def test_the_numbers_know_what_no_tensor_tells(name, changed):
    assert off(name, converted(name, **changed)) > 1e-2


def test_every_family_has_a_forward_of_its_original():
    found = {next((one.name for one in FAMILIES if one.recognises({k: tuple(v) for k, v in case["shapes"].items()})),
                  "diffusers folder") for case in CASES.values()}
    apart = {adm_classifier.FAMILY.name}  # whose forward is written out in test_adm_classifier.py
    assert found | apart == {one.name for one in FAMILIES}
