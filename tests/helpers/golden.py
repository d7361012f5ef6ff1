"""Weights and inputs that any program makes alike from a name and a shape, for numbers of other people's programs."""

import math
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

PLACES = 8  # single values of an output that are kept


def uniform(name: str, *shape: int) -> Tensor:
    """Values in [-1, 1) by the finaliser of SplitMix64 of the name and the position; the same on every machine."""
    z = np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()) << 32)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    z ^= z >> np.uint64(31)
    return torch.from_numpy(((z >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32).reshape(shape))


def weights(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """A state dict of these shapes: gains near 1, small offsets, matrices that keep the size of what passes through."""
    state = {}
    for key, shape in shapes.items():
        noise = uniform(key, *shape)
        if len(shape) < 2:
            state[key] = 0.2 * noise + float(key.endswith("weight"))
        else:
            state[key] = noise * (3 / math.prod(shape[1:])) ** 0.5
    return state


def numbers(output: Tensor) -> list[float]:
    """Mean, std and `PLACES` single values of an output, evenly spread."""
    flat = output.detach().double().flatten()
    at = torch.linspace(0, len(flat) - 1, PLACES).long()
    return [float(value) for value in (flat.mean(), flat.std(), *flat[at])]
