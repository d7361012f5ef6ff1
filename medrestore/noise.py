"""Random numbers: one independent stream per sample, so that sample k never depends on its batch."""

import hashlib
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .devices import send, staging

PIECE = 2**24  # bytes that are drawn ahead at most, for an accelerator


def white_like(y: Tensor, noise: Callable[[Sequence[int]], Tensor]) -> Tensor:
    """White noise shaped like y, unit standard deviation in every real number.

    Args:
        noise: float32 noise of a shape.
    """
    return torch.complex(noise(y.shape), noise(y.shape)) if y.is_complex() else noise(y.shape)


def derived_seed(*numbers: int, size: int = 8) -> int:
    """A seed of `size` bytes made of several numbers: the same ones give the same stream on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=size).digest())


class Noise:
    """White Gaussian noise of unit standard deviation, from one generator per sample.

    `Noise([3, 4, 5])` yields, for each of three samples, the stream of its own seed, whatever the batch size. Streams
    are drawn on the CPU, so that a seed means the same on every device. For an accelerator several draws are made ahead of
    need, in one piece that is copied while the device goes on with what it was asked before.

    Args:
        seeds: one integer per sample.
        device: where the noise is needed.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(int(seed) for seed in seeds)
        self.device = torch.device(device)
        self._streams = [torch.Generator().manual_seed(seed) for seed in self.seeds]
        self._piece: Tensor | None = None  # (draw, *shape) on the device, of which so many are used
        self._used = 0
        self._states: list[Tensor] = []  # of the streams before the piece

    def __call__(self, shape: Sequence[int]) -> Tensor:
        """Fresh noise of `shape` = (sample, channel, height, width), float32."""
        if shape[0] != len(self._streams):
            raise ValueError(f"the noise has {len(self._streams)} streams, but the batch has {shape[0]} samples")
        if self.device.type == "cpu":
            return self._drawn(torch.empty(tuple(shape), device="cpu"))
        if self._piece is not None and self._piece.shape[1:] != tuple(shape):
            self._take_back(self._piece)
        if self._piece is None or self._used == len(self._piece):
            self._draw_ahead(shape)
            assert self._piece is not None
        self._used += 1
        return self._piece[self._used - 1]

    def _drawn(self, out: Tensor) -> Tensor:
        """`out`, (sample, ...), filled from the streams."""
        for row, stream in zip(out, self._streams, strict=True):
            torch.randn(row.shape, generator=stream, out=row, device="cpu")
        return out

    def _draw_ahead(self, shape: Sequence[int]) -> None:
        """The next piece: one draw, then twice as many as before, as far as `PIECE` allows."""
        most = max(1, PIECE // (4 * math.prod(shape)))
        count = 1 if self._piece is None else min(2 * len(self._piece), most)
        self._states = [stream.get_state() for stream in self._streams]
        host = staging((count, *shape), self.device)
        for draw in host:
            self._drawn(draw)
        self._piece, self._used = send(host, self.device), 0

    def _take_back(self, piece: Tensor) -> None:
        """Sets the streams to where they are without the draws that were not used, and forgets the piece."""
        for stream, state in zip(self._streams, self._states, strict=True):
            stream.set_state(state)
        for _ in range(self._used):
            self._drawn(torch.empty(piece.shape[1:], device="cpu"))
        self._piece = None
