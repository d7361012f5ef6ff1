"""Random networks in the layouts of published checkpoints, at small width."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from helpers.checkpoints import CASES
from torch import Tensor


def random_state(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Weights that keep the size of what passes through, gains about 1 and small offsets."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        gain = len(shape) == 1 and key.endswith("weight")
        state[key] = noise / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.1 * noise + gain
    return state


class Watched(dict):
    """A state dict that remembers which of its tensors were asked for."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__(state)
        self.used: set[str] = set()

    def __getitem__(self, key: str) -> Tensor:
        self.used.add(key)
        return super().__getitem__(key)


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference in units of the largest value."""
    return float((one - other).abs().max() / other.abs().max())


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(name="random_state")
def _random_state():
    return random_state


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a checkpoint of `helpers.checkpoints.CASES`."""

    def make(case: str = "knee") -> Path:
        torch.save(random_state(CASES[case][0]), tmp_path / f"{case}.pt")
        return tmp_path / f"{case}.pt"

    return make


@pytest.fixture(name="watched")
def _watched():
    return Watched


@pytest.fixture(name="difference")
def _difference():
    return difference


@pytest.fixture(name="noise")
def _noise():
    return noise
