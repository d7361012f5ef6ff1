"""The crops of each pass, and the random streams: pure functions of the seed and the progress of a run."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from ..datasets.base import Batch, Crops
from ..errors import InputError
from .checkpoint import Progress
from .config import CropConfig
from .runtime import ignore_signals

SIDES, NOISE, WEIGHTS, SAMPLES = range(4)  # purposes of streams
# what ends the traceback of a worker, before the message
RAISED = f"{InputError.__module__}.{InputError.__qualname__}: "
T = TypeVar("T")


def stream(
    seed: int, purpose: int, number: int = 0, rank: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A separate generator for each (seed, purpose, number, rank)."""
    key = 0
    for part in (seed, purpose, number, rank):  # a round of splitmix64 for each
        key = (key ^ part) + 0x9E3779B97F4A7C15 & (1 << 64) - 1
        key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
        key = (key ^ key >> 27) * 0x94D049BB133111EB & (1 << 64) - 1
        key ^= key >> 31
    return torch.Generator(device).manual_seed(key >> 1)


@dataclass(frozen=True)
class CropSampler(Sampler[list[tuple[int, int]]]):
    """The (position, side) of every crop of every remaining pass, for one process of several.

    Args:
        config: of the run.
        start: progress of the run.
        rank, world: this process, and how many there are.
    """

    config: CropConfig
    start: Progress
    rank: int = 0
    world: int = 1

    @property
    def images_per_step(self) -> int:
        """By all processes, counted at the smallest side."""
        return self.config.optim.batch * self.config.optim.accumulate * self.world

    def side(self, number: int) -> int:
        """The side of the crops of a pass."""
        shares = torch.tensor([share for _, share in self.config.data.sides])
        chosen = torch.multinomial(shares, 1, generator=stream(self.config.seed, SIDES, number))
        return self.config.data.sides[int(chosen)][0]

    def crops(self, side: int) -> int:
        """How many crops of this side make a pass of one process."""
        smallest = min(side for side, _ in self.config.data.sides)
        return max(1, self.config.optim.batch * smallest**2 // side**2)

    def __len__(self) -> int:
        return (
            -(-max(0, self.config.images - self.start.seen) // self.images_per_step)
            * self.config.optim.accumulate
        )

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first, position = self.start.step * self.config.optim.accumulate, self.start.position
        for number in range(first, first + len(self)):
            side = self.side(number)
            count = self.crops(side)
            yield [(position + self.rank * count + k, side) for k in range(count)]
            position += count * self.world


class _Told(Dataset[Batch]):
    """Crops with what is known of them."""

    def __init__(self, crops: Crops) -> None:
        self._crops = crops

    def __getitem__(self, at: tuple[int, int]) -> Batch:
        return self._crops.batch(at)


def crop_loader(crops: Crops, sampler: CropSampler, *, pin: bool) -> DataLoader[Batch]:
    """The batches of a sampler, prepared ahead by `data.workers` processes."""
    config = sampler.config
    return DataLoader(
        _Told(crops),
        batch_sampler=sampler,
        collate_fn=Batch.of,
        pin_memory=pin,
        generator=stream(config.seed, SAMPLES),
        **worker_options(config.data.workers),
    )


def worker_options(workers: int) -> dict[str, Any]:
    """Options of a `DataLoader` for so many processes that read ahead."""
    ahead = {"prefetch_factor": 4, "worker_init_fn": ignore_signals} if workers else {}
    return {"num_workers": workers, **ahead}


def with_worker_errors(batches: DataLoader[T]) -> Generator[T, None, None]:
    """The batches of a loader; bad input in one of its processes raises its own message alone.

    The processes end when the generator is closed or raises: they ignore the signal that the interpreter
    sends when it exits, so nothing may hold the loader's iterator until then, not even a traceback.

    Raises:
        InputError: bad input.
    """
    message = None
    try:
        yield from batches
    except InputError as error:
        message = str(error).rpartition(RAISED)[2].strip()
        error.__traceback__ = None  # its frames refer to the iterator, and to the error
    if message is not None:
        raise InputError(message)
