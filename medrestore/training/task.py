"""What a training run calls: the task that it trains, and the callbacks that follow it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from ..datasets.base import Progress as Preparation
from .checkpoint import Progress, Tensors
from .config import Card, RunConfig
from .runtime import Acceleration, Process

if TYPE_CHECKING:
    from .run import Run

SCORE = "validation_loss"  # the column that the best checkpoint and the best average have lowest
Batch = TypeVar("Batch", bound=Sized)


class Stopped(Exception):
    """The run was asked to stop and has written a checkpoint; the message says after how many images."""


@dataclass(frozen=True)
class Summary:
    """A run at its start.

    Attributes:
        training_images, validation_images: how many there are.
        parameters: of the network.
        hardware: number and kind of the devices.
        out: folder of the run.
        images: trained on by earlier parts of this run.
    """

    training_images: int
    validation_images: int
    parameters: int
    hardware: str
    out: Path
    images: int


class Callbacks:
    """Functions that a run calls, on its main process; each may be overridden."""

    def on_prepare(self, label: str, total: int) -> Callable[[], None]:
        """Data are about to be prepared, in `total` parts; the returned function is called after each."""
        return lambda: None

    def on_start(self, summary: Summary) -> None:
        """Training starts or resumes."""

    def on_warning(self, message: str) -> None:
        """Something does not stop the run but should be known."""

    def on_step(self, images: int, loss: Tensor | float) -> None:
        """A step of the optimiser is done, the run having trained on so many images.

        `loss` is the mean since the last checkpoint, on the device: to read it is to wait for the device.
        """

    def on_checkpoint(self, row: Mapping[str, float]) -> None:
        """A checkpoint is written; `row` is its line of the log."""


@dataclass(frozen=True)
class RunResult:
    """What a run has reached.

    Attributes:
        weights: averaged, by the network's own names, on the CPU; on the main process only.
        half_life: of the average, in images.
        scores: of these weights.
        progress: of the run.
        process: this one of the run.
    """

    weights: Tensors
    half_life: int
    scores: Mapping[str, float]
    progress: Progress
    process: Process

    def facts(self, card: Card) -> dict[str, Any]:
        """What the description of the trained network tells of the run, and of what the run cannot know."""
        return asdict(card) | {"images": self.progress.seen, "ema_images": self.half_life,
                               "hours": round(self.progress.seconds / 3600, 2), "hardware": self.process.hardware}


class TrainingTask(ABC, Generic[Batch]):
    """What a run trains: a network with its data, loss, validation and output.

    Attributes:
        config: of the run.
        net: with its first weights.
        optimiser: of its parameters.
        half_lives: in images, of each average of the weights, by its name in a checkpoint; the first is shown
            in pictures.
        result: name of the output within the folder of the run.
        acceleration: precision and the like.
        passes: to one step of the optimiser.
        parallel: whether several processes may share the run.
    """

    config: RunConfig
    net: torch.nn.Module
    optimiser: torch.optim.Optimizer
    half_lives: dict[str, int]
    result: str
    acceleration: Acceleration
    passes: int = 1
    parallel: bool = True

    @abstractmethod
    def counts(self) -> list[int]:
        """How many images there are to train on and to validate with."""

    @abstractmethod
    def prepare(self, progress: Preparation) -> None:
        """Does what is slow and done once: called on the main process first, before any data are read."""

    @abstractmethod
    def batches(self, progress: Progress, process: Process) -> Generator[Batch, None, None]:
        """The batches of every pass from `progress` to the end of the run."""

    @abstractmethod
    def losses(self, net: torch.nn.Module, batch: Batch, number: int, process: Process) -> Iterator[Tensor]:
        """The scalar losses of a batch, whose gradients are summed; `number` counts the passes of the run."""

    @abstractmethod
    def scores(self, net: torch.nn.Module, process: Process) -> dict[str, float]:
        """The validation of a network in evaluation mode; `SCORE` is one of the names."""

    @abstractmethod
    def write(self, folder: Path, result: RunResult) -> str:
        """Writes the trained network into a folder; returns the text of its card, empty where it has none."""

    def after_step(self, run: "Run[Batch]", before: Progress) -> None:
        """Called after each step of the optimiser, for outputs by the way; does nothing unless overridden."""
        return

    def facts(self) -> dict[str, Any]:
        """Plain data to store in a checkpoint, for `restore`."""
        return {}

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Takes back the plain data of a checkpoint."""
        return

    def parameter_names(self) -> dict[str, str]:
        """Names of the parameters in a checkpoint's optimiser state, by their names in the network."""
        return {name: name for name, _ in self.net.named_parameters()}
