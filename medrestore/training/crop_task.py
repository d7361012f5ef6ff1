"""What tasks on crops of images share: the optimiser of generators, validation crops and batches."""

from collections.abc import Generator
from typing import TypeVar

import torch

from ..datasets.base import Batch
from ..datasets.base import Progress as Preparation
from .batches import CropSampler, crop_loader, with_worker_errors
from .checkpoint import Progress
from .config import CropConfig, Optim
from .runtime import Process
from .start import ImageData
from .task import TrainingTask

MOMENTUM = (0.9, 0.99)  # betas of AdamW
N = TypeVar("N", bound=torch.nn.Module)


def adamw(net: torch.nn.Module, optim: Optim) -> torch.optim.AdamW:
    """The optimiser of priors and autoencoders."""
    return torch.optim.AdamW(net.parameters(), optim.lr, MOMENTUM, weight_decay=optim.weight_decay)


def layout_of(channels_last: bool) -> torch.memory_format:
    """Of images and weights."""
    return torch.channels_last if channels_last else torch.contiguous_format


def laid_out(net: N, layout: torch.memory_format) -> N:
    """A network with its weights in a layout."""
    return net.to(memory_format=layout)  # type: ignore[call-overload]  # missing in the stub of Module.to


def no_crops() -> Batch:
    """The validation crops before they are prepared."""
    return Batch(torch.empty(0))


class CropTask(TrainingTask[Batch]):
    """A network trained on crops (crop, channels, side, side) of images.

    Attributes:
        config: of the run.
        data: images and augmentation.
        validation: crops, the same at each validation; none before `prepare`.
    """

    config: CropConfig
    data: ImageData
    validation: Batch

    def counts(self) -> list[int]:
        return self.data.counts

    def prepare(self, progress: Preparation) -> None:
        self.data.prepare(progress)
        self.validation = self.data.validation_crops(self.config)

    def batches(self, progress: Progress, process: Process) -> Generator[Batch, None, None]:
        sampler = CropSampler(self.config, progress, process.rank, process.world)
        crops = self.data.training_crops(self.config)
        return with_worker_errors(crop_loader(crops, sampler, pin=process.device.type == "cuda"))
