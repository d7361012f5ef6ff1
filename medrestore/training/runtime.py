"""Processes, devices, precision, trackers and signals of a training run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal

import torch

from ..errors import InputError
from ..extras import extra
from ..files import Busy, claim, exclusive, explained

if TYPE_CHECKING:
    from accelerate import Accelerator

TIMEOUT = timedelta(hours=24)  # the other processes wait for the one that prepares the data
KIND = "training run"  # of the folder of a run, by its marker
STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1")  # Ctrl-C, and what schedulers send before they end a job


@dataclass(frozen=True)
class Process:
    """One process of a run.

    Attributes:
        rank: its number.
        world: how many there are.
        device: that it computes on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def hardware(self) -> str:
        """Number and kind of the devices of the run."""
        return f"{self.world} x {hardware(self.device)}"


@dataclass(frozen=True)
class Acceleration:
    """How a run computes.

    Args:
        precision: of the network's arithmetic.
        compile: whether `torch.compile` is used.
        accumulate: passes to one step of the optimiser.
        tensorboard: folder of a log for TensorBoard, where tensorboardX is installed; None: no such log.
    """

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    accumulate: int = 1
    tensorboard: Path | None = None


@contextmanager
def accelerated(settings: Acceleration) -> Iterator["Accelerator"]:
    """Devices, processes, precision and trackers, from the environment of the launcher.

    Raises:
        InputError: a precision that the device cannot do.
    """
    with extra("train", "training"):
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState, GradientState
        from accelerate.utils import InitProcessGroupKwargs, is_tensorboard_available

    cpu, precision = not torch.accelerator.is_available(), settings.precision
    if precision == "fp16" and cpu:
        raise InputError("precision: fp16 needs a GPU; take bf16 or fp32")
    for state in (AcceleratorState, GradientState):  # left by an earlier run of this process
        state._reset_state()
    log = settings.tensorboard is not None and is_tensorboard_available()
    try:
        accelerator = Accelerator(
            cpu=cpu,
            mixed_precision="no" if precision == "fp32" else precision,
            gradient_accumulation_steps=settings.accumulate,
            dynamo_backend="inductor" if settings.compile else "no",
            log_with=["tensorboard"] if log else None,
            project_dir=settings.tensorboard,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)],
        )
    except ValueError as error:
        raise InputError(
            f"precision: {precision} is not available on this device ({error}); take fp32"
        ) from error
    try:
        yield accelerator
    finally:
        for tracker in accelerator.trackers:
            with suppress(OSError):  # a full disk has been reported already
                tracker.finish()


@contextmanager
def exclusive_run(folder: Path, *, enabled: bool) -> Iterator[None]:
    """Claims a folder for training, and keeps other runs out of it; the system frees it with the process.

    Raises:
        InputError: another run is in it, it is a folder of other files, or it cannot be written to.
    """
    with ExitStack() as stack:
        if enabled:
            claim(folder, KIND)
            try:
                with explained(folder):
                    stack.enter_context(exclusive(folder, lock=folder / ".lock"))
            except Busy as error:
                raise InputError(
                    f"another run is training in {folder}; wait for it, or give another out"
                ) from error
        yield


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGUSR1 set; in a thread other than the main one, nothing sets it.

    A second SIGINT, by somebody who does not want to wait for the checkpoint, interrupts at once. A signal that was
    ignored before stays so, as SIGINT does in a job that a shell has started in the background.
    """
    stop, before = threading.Event(), {}

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    if threading.current_thread() is threading.main_thread():
        heard = [number for number in _available(STOP_SIGNALS) if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals(worker: int) -> None:
    """For worker processes: signals to the group are for the trainer, which ends its workers."""
    for number in _available(STOP_SIGNALS):
        signal.signal(number, signal.SIG_IGN)


def continue_default_stream(generator: torch.Generator) -> None:
    """Sets the device's default generator, from which layers draw, to the state of `generator`."""
    if generator.device.type == "cpu":
        torch.set_rng_state(generator.get_state())
    else:
        torch.get_device_module(generator.device).set_rng_state(generator.get_state(), generator.device)


def hardware(device: torch.device) -> str:
    """The name of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _available(names: tuple[str, ...]) -> list[signal.Signals]:
    """The signals of these names that the platform has."""
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]
