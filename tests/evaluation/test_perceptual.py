"""LPIPS and the Frechet distance against independent transcriptions."""

import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.evaluation import (
    LPIPS,
    frechet_distance,
    load_lpips,
)


def weights(seed=0):
    """Random weights by the keys of the public files."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    state = {}
    for number, shape in shapes.items():
        state[f"features.{number}.weight"] = torch.randn(shape, generator=generator) / (shape[1] * shape[2]) ** 0.5 / 3
        state[f"features.{number}.bias"] = torch.randn(shape[0], generator=generator) / 10
    state["classifier.1.weight"] = torch.zeros(2, 2)
    widths = [shape[0] for shape in shapes.values()]
    return state, {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1, generator=generator) for i, n in enumerate(widths)}


def transcribed(state, heads, a, b):
    """LPIPS once more, as the paper says it, on torchvision's sequence of layers."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188])[:, None, None], torch.tensor([0.458, 0.448, 0.450])[:, None, None]
    total, strides, paddings = 0.0, {0: 4}, {0: 2, 3: 2}
    x = (torch.stack([a, b]) - shift) / scale
    for layer, number in enumerate((0, 3, 6, 8, 10)):
        if number in (3, 6):
            x = torch.nn.functional.max_pool2d(x, kernel_size=3, stride=2)
        x = torch.nn.functional.conv2d(x, state[f"features.{number}.weight"], state[f"features.{number}.bias"],
                                       stride=strides.get(number, 1), padding=paddings.get(number, 1)).clamp(min=0)
        unit = x / x.square().sum(1, keepdim=True).sqrt().clamp(min=1e-10)
        total += float(((unit[0] - unit[1]) ** 2 * heads[f"lin{layer}.model.1.weight"][0]).sum(0).mean())
    return total


def test_lpips(tmp_path):
    from safetensors.torch import save_file

    state, heads = weights()
    save_file(state, tmp_path / "alexnet.safetensors")
    torch.save(heads, tmp_path / "lpips.pth")
    network = load_lpips(tmp_path / "alexnet.safetensors", tmp_path / "lpips.pth")
    a, b = (torch.rand(3, 64, 80, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (1, 2))
    found = network(torch.stack([a, a]), torch.stack([b, a]))
    assert found[0] == pytest.approx(transcribed(state, heads, a, b), rel=1e-4) and found[1] == 0
    one = {f"net.slice{i + 1}.{key.removeprefix('features.')}": value for i, n in enumerate((0, 3, 6, 8, 10))
           for key, value in state.items() if key.startswith(f"features.{n}.")}
    torch.save(one | heads, tmp_path / "whole.pth")
    assert torch.equal(load_lpips(tmp_path / "whole.pth")(a[None], b[None]), network(a[None], b[None]))


def test_lpips_files_are_guarded(tmp_path):
    state, heads = weights()
    torch.save(heads, tmp_path / "heads.pth")
    with pytest.raises(InputError, match=r"heads\.pth: convolutions\.0\.weight .* is missing"):
        load_lpips(tmp_path / "heads.pth")
    torch.save(state | heads | {"features.3.bias": torch.zeros(3)}, tmp_path / "shape.pth")
    with pytest.raises(InputError, match=r"convolutions\.3\.bias .* has the shape \(3,\), \(192,\) is needed"):
        load_lpips(tmp_path / "shape.pth")
    torch.save(LPIPS(), tmp_path / "code.pth")
    with pytest.raises(InputError, match=r"code\.pth is no file of tensors alone"):
        load_lpips(tmp_path / "code.pth")
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 100)
    for name in ("bad.safetensors", "none.pth"):
        with pytest.raises(InputError, match=name):
            load_lpips(tmp_path / name)
    with pytest.raises(InputError, match="at least 63 x 63"):
        LPIPS()(torch.zeros(1, 3, 32, 80), torch.zeros(1, 3, 32, 80))


@pytest.mark.parametrize("count", [30, 5])  # more pictures than features, and fewer
def test_frechet_distance(count):
    from scipy.linalg import sqrtm

    random = np.random.default_rng(0)
    a, b = random.normal(size=(count, 8)), random.normal(size=(count, 8)) * 1.5 + 0.3
    A, B = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(A) if count > 8 else None
    cross = np.trace(sqrtm(root @ B @ root)).real if root is not None else np.sqrt(np.linalg.eigvals(A @ B).real.clip(0)).sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(A) + np.trace(B) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="no Frechet distance"):
        frechet_distance(a, b[:, :3])
    with pytest.raises(InputError, match="NaN"):
        frechet_distance(a, b * np.nan)
