"""What a run is given by the machine: processes, devices, precision, trackers and signals."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import torch

from ..errors import InputError
from ..files import Busy, exclusive
from .checkpoint import explained
from .config import Config

if TYPE_CHECKING:
    from accelerate import Accelerator

PATIENCE = timedelta(hours=24)  # the others wait for the one that prepares the data
HEARD = ("SIGTERM", "SIGUSR1")  # what schedulers send before they end a job


@contextmanager
def accelerated(config: Config) -> Iterator["Accelerator"]:
    """Devices, processes, precision and trackers, from the environment that the launcher made.

    Raises:
        InputError: a precision that the device cannot do.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState
    from accelerate.utils import InitProcessGroupKwargs, is_tensorboard_available

    cpu = not torch.accelerator.is_available()
    if config.precision == "fp16" and cpu:
        raise InputError("precision: fp16 needs a GPU; take bf16 or fp32")
    for state in (AcceleratorState, GradientState):  # what an earlier run of this process has left
        state._reset_state()
    try:
        accelerator = Accelerator(
            cpu=cpu, mixed_precision="no" if config.precision == "fp32" else config.precision,
            gradient_accumulation_steps=config.optim.accumulate, dynamo_backend="inductor" if config.compile else "no",
            log_with=["tensorboard"] if is_tensorboard_available() else [], project_dir=config.out,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)])
    except ValueError as error:
        raise InputError(f"precision: {config.precision} cannot be had here ({error}); take fp32") from error
    try:
        yield accelerator
    finally:
        for tracker in accelerator.trackers:
            with suppress(OSError):  # a full disk has been told of already
                tracker.finish()


@contextmanager
def claimed(folder: Path, *, enabled: bool) -> Iterator[None]:
    """Keeps other runs out of a folder; the system frees it with the process, however that ends.

    Raises:
        InputError: another run is in it, or it cannot be written to.
    """
    with ExitStack() as stack:
        if enabled:
            try:
                with explained(folder):
                    folder.mkdir(parents=True, exist_ok=True)
                    stack.enter_context(exclusive(folder, lock=folder / ".lock"))
            except Busy as error:
                raise InputError(f"another run is training in {folder}; wait for it, or give another out") from error
        yield


@contextmanager
def signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGUSR1 set, where signals can be heard: in the main thread."""
    asked, before = threading.Event(), {}

    def hear(number: int, frame: FrameType | None) -> None:
        asked.set()

    if threading.current_thread() is threading.main_thread():
        before = {name: signal.signal(getattr(signal, name), hear) for name in HEARD if hasattr(signal, name)}
    try:
        yield asked
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def ignore_signals(worker: int) -> None:
    """In a process that prepares crops: what a scheduler sends to the whole group is for the trainer, which ends its workers."""
    for name in ("SIGINT", *HEARD):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def lend(generator: torch.Generator) -> None:
    """Lets the global stream of a device go on from `generator`: layers draw first weights and dropout from nowhere else."""
    if generator.device.type == "cpu":
        torch.set_rng_state(generator.get_state())
    else:
        torch.get_device_module(generator.device).set_rng_state(generator.get_state(), generator.device)


def hardware(device: torch.device) -> str:
    """The name of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
