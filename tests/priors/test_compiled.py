"""A compiled network is the network; where compiling fails it runs as it is."""

import shutil
from pathlib import Path

import pytest
import torch
from helpers.scans import save_prior
from torch import Tensor

from medrestore.priors import load
from medrestore.priors.compiled import Compiled


class Small(torch.nn.Module):
    """A convolution that is told a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        if (x == 7).all():
            raise torch.OutOfMemoryError("no memory left")
        return torch.tanh(self.layer(x)) + t.reshape(-1, 1, 1, 1)


INPUTS = (torch.linspace(-1, 1, 2 * 2 * 36).reshape(2, 2, 6, 6), torch.tensor([0.5, 2.0]))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
@torch.no_grad()
def test_compiled_is_the_same() -> None:
    class Plain(Small):
        def forward(self, x: Tensor, t: Tensor) -> Tensor:
            return torch.tanh(self.layer(x)) + t.reshape(-1, 1, 1, 1)

    net = Plain().eval()
    fast = Compiled(net)
    assert torch.allclose(fast(*INPUTS), net(*INPUTS), atol=1e-6) and fast.run is not net
    again = fast(*INPUTS)
    fast(-INPUTS[0], INPUTS[1])
    assert torch.allclose(again, net(*INPUTS), atol=1e-6)


@torch.no_grad()
def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def fails(*inputs: Tensor) -> Tensor:
        tried.append(inputs)
        raise RuntimeError("no C++ compiler\nand a long story")

    monkeypatch.setattr(torch, "compile", lambda net, **options: fails)
    net = Small().eval()
    slow = Compiled(net)
    with pytest.warns(UserWarning, match=r"could not be compiled and runs as it is \(RuntimeError: no C\+\+ compiler\)$"):
        first = slow(*INPUTS)
    assert torch.equal(first, net(*INPUTS)) and torch.equal(slow(*INPUTS), first) and len(tried) == 1


@torch.no_grad()
def test_a_lack_of_memory_is_no_failure_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda net, **options: net.forward)
    fast = Compiled(Small().eval())
    with pytest.raises(torch.OutOfMemoryError):  # so that the loop halves its batch
        fast(torch.full((1, 2, 4, 4), 7.0), torch.ones(1))
    assert fast.run is not fast.net


@torch.no_grad()
def test_a_prior_asks_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny_prior, asked = save_prior(tmp_path / "tiny", 2), []

    def compiles(net: torch.nn.Module, **options: object) -> object:
        asked.append(options)
        return lambda *inputs, **told: net(*inputs, **told)

    monkeypatch.setattr(torch, "compile", compiles)
    x = torch.linspace(-1, 1, 2 * 8 * 8).reshape(1, 2, 8, 8)
    assert torch.equal(load(tiny_prior, compiled=True)(x, 0.5), load(tiny_prior)(x, 0.5))
    assert asked == [{"dynamic": False, "mode": "default"}]
