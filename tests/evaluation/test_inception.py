"""The network of FID against an independent forward pass, and its files."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from medrestore.errors import InputError
from medrestore.evaluation import Inception, frechet_distance, load_inception


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Random weights by the names of pytorch-fid's file, its unused last layer among them."""
    random = torch.Generator().manual_seed(0)
    state = {}
    for name, value in Inception().state_dict().items():
        if name.endswith("conv.weight"):
            state[name] = torch.randn(value.shape, generator=random) * (2 / value[0].numel()) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            state[name] = 0.5 + torch.rand(value.shape, generator=random)
        elif value.is_floating_point():
            state[name] = 0.1 * torch.randn(value.shape, generator=random)
        else:
            state[name] = value
    return state | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}


def transcribed(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """Szegedy et al. 2016 and pytorch-fid's description, by functions: every branch a list of convolutions."""

    def conv(x: Tensor, name: str, stride: int = 1, padding: int | tuple[int, int] = 0) -> Tensor:
        y = F.conv2d(x, state[f"{name}.conv.weight"], None, stride, padding)
        scale = state[f"{name}.bn.weight"] / (state[f"{name}.bn.running_var"] + 0.001).sqrt()
        shift = state[f"{name}.bn.bias"] - scale * state[f"{name}.bn.running_mean"]
        return (scale[:, None, None] * y + shift[:, None, None]).clamp(min=0)

    def mean3(x: Tensor) -> Tensor:
        ones = torch.ones(x.shape[1], 1, 3, 3)
        inside = F.conv2d(torch.ones(1, 1, *x.shape[-2:]), torch.ones(1, 1, 3, 3), padding=1)
        return F.conv2d(x, ones, padding=1, groups=x.shape[1]) / inside

    row, column = (0, 3), (3, 0)
    x = 2 * F.interpolate(x, (299, 299), mode="bilinear") - 1
    x = conv(conv(conv(x, "Conv2d_1a_3x3", 2), "Conv2d_2a_3x3"), "Conv2d_2b_3x3", 1, 1)
    x = conv(conv(F.max_pool2d(x, 3, 2), "Conv2d_3b_1x1"), "Conv2d_4a_3x3")
    x = F.max_pool2d(x, 3, 2)
    for b in ("Mixed_5b.", "Mixed_5c.", "Mixed_5d."):
        five = conv(conv(x, b + "branch5x5_1"), b + "branch5x5_2", 1, 2)
        double = conv(conv(conv(x, b + "branch3x3dbl_1"), b + "branch3x3dbl_2", 1, 1), b + "branch3x3dbl_3", 1, 1)
        x = torch.cat([conv(x, b + "branch1x1"), five, double, conv(mean3(x), b + "branch_pool")], 1)
    b = "Mixed_6a."
    double = conv(conv(conv(x, b + "branch3x3dbl_1"), b + "branch3x3dbl_2", 1, 1), b + "branch3x3dbl_3", 2)
    x = torch.cat([conv(x, b + "branch3x3", 2), double, F.max_pool2d(x, 3, 2)], 1)
    for b in ("Mixed_6b.", "Mixed_6c.", "Mixed_6d.", "Mixed_6e."):
        seven = conv(conv(conv(x, b + "branch7x7_1"), b + "branch7x7_2", 1, row), b + "branch7x7_3", 1, column)
        double = conv(x, b + "branch7x7dbl_1")
        for k, padding in ((2, column), (3, row), (4, column), (5, row)):
            double = conv(double, f"{b}branch7x7dbl_{k}", 1, padding)
        x = torch.cat([conv(x, b + "branch1x1"), seven, double, conv(mean3(x), b + "branch_pool")], 1)
    b = "Mixed_7a."
    three = conv(conv(x, b + "branch3x3_1"), b + "branch3x3_2", 2)
    seven = conv(conv(conv(x, b + "branch7x7x3_1"), b + "branch7x7x3_2", 1, row), b + "branch7x7x3_3", 1, column)
    x = torch.cat([three, conv(seven, b + "branch7x7x3_4", 2), F.max_pool2d(x, 3, 2)], 1)
    for b in ("Mixed_7b.", "Mixed_7c."):
        three, double = conv(x, b + "branch3x3_1"), conv(conv(x, b + "branch3x3dbl_1"), b + "branch3x3dbl_2", 1, 1)
        pooled = mean3(x) if b == "Mixed_7b." else F.max_pool2d(x, 3, 1, 1)
        x = torch.cat([
            conv(x, b + "branch1x1"), conv(three, b + "branch3x3_2a", 1, (0, 1)), conv(three, b + "branch3x3_2b", 1, (1, 0)),
            conv(double, b + "branch3x3dbl_3a", 1, (0, 1)), conv(double, b + "branch3x3dbl_3b", 1, (1, 0)),
            conv(pooled, b + "branch_pool")], 1)
    return x.mean((2, 3))


def test_the_features_are_those_of_the_weights(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "pt_inception.pth")
    network = load_inception(tmp_path / "pt_inception.pth")
    pictures = torch.rand(2, 3, 40, 52, generator=torch.Generator().manual_seed(1))
    features = network.features(pictures)
    assert features.shape == (2, 2048) and not network.training
    torch.testing.assert_close(torch.from_numpy(features), transcribed(weights, pictures), rtol=1e-3, atol=1e-4)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-3)
    assert frechet_distance(features, features + 1) == pytest.approx(2048, rel=1e-3)


def test_files_that_are_no_inception_are_refused(weights: dict[str, Tensor], tmp_path: Path) -> None:
    def refused(state: Mapping[str, object], says: str) -> None:
        torch.save(dict(state), tmp_path / "x.pth")
        with pytest.raises(InputError, match=says):
            load_inception(tmp_path / "x.pth")

    name = "Mixed_7c.branch_pool.bn.running_var"
    refused({key: value for key, value in weights.items() if key != name}, rf"{name} of Inception v3 is missing, \(192,\) is")
    refused(weights | {name: torch.ones(3)}, r"has the shape \(3,\)")
    refused(weights | {"features.0.weight": torch.ones(1)}, "also holds features.0.weight")
    refused({"a": 1}, "no plain state dict")
    with pytest.raises(InputError, match="does not exist"):
        load_inception(tmp_path / "none.pth")
