"""Random numbers: one independent stream per sample, so that sample k never depends on its batch."""

from collections.abc import Sequence

import torch
from torch import Tensor


class Noise:
    """White Gaussian noise of unit standard deviation, from one generator per sample.

    `Noise([3, 4, 5])` yields, for each of three samples, the stream of its own seed, whatever the batch size. Streams
    are drawn on the CPU and moved, so that a seed means the same on every device.

    Args:
        seeds: one integer per sample.
        device: where the noise is needed.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(int(seed) for seed in seeds)
        self.device = torch.device(device)
        self._streams = [torch.Generator().manual_seed(seed) for seed in self.seeds]

    def __call__(self, shape: Sequence[int]) -> Tensor:
        """Fresh noise of `shape` = (sample, channel, height, width), float32."""
        if shape[0] != len(self._streams):
            raise ValueError(f"the noise has {len(self._streams)} streams, but the batch has {shape[0]} samples")
        drawn = torch.stack([torch.randn(tuple(shape[1:]), generator=stream, device="cpu") for stream in self._streams])
        return drawn.to(self.device)
