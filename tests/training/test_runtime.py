"""Signals, the lock of a folder, the default random stream and devices of a run."""

import os
import signal
import threading
from pathlib import Path

import pytest
import torch

from medrestore.errors import InputError
from medrestore.training.runtime import (
    Acceleration,
    Process,
    accelerated,
    continue_default_stream,
    exclusive_run,
    stop_signals,
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_stop_signals_set_an_event_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    assert signal.getsignal(number) == before


def test_a_second_interrupt_does_not_wait() -> None:
    with pytest.raises(KeyboardInterrupt), stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_was_ignored_stays_so() -> None:
    """As SIGINT is in a job in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_signals() as stop:
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
    assert not stop.is_set()


def test_other_threads_leave_signals_alone() -> None:
    before, events = signal.getsignal(signal.SIGTERM), []

    def use() -> None:
        with stop_signals() as stop:
            events.append((stop.is_set(), signal.getsignal(signal.SIGTERM) == before))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert events == [(False, True)]


def test_folder_is_locked_while_a_run_uses_it(tmp_path: Path) -> None:
    with exclusive_run(tmp_path / "run", enabled=True):
        with (pytest.raises(InputError, match=r"another run is training in .*run; wait for it"),
              exclusive_run(tmp_path / "run", enabled=True)):
            pass
        with exclusive_run(tmp_path / "run", enabled=False):  # another process of the same run
            pass
    with exclusive_run(tmp_path / "run", enabled=True):
        pass


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "prior").mkdir()
    (tmp_path / "prior" / "photo.png").write_text("precious")
    with (pytest.raises(InputError, match=r"holds prior and is no training run of medrestore"),
          exclusive_run(tmp_path, enabled=True)):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["prior", "photo.png"]


def test_default_stream_continues_from_a_generator() -> None:
    with torch.random.fork_rng(devices=[]):
        generator = torch.Generator().manual_seed(7)
        torch.rand(3, generator=generator)
        continue_default_stream(generator)
        assert torch.equal(torch.rand(5), torch.rand(5, generator=generator))


@pytest.mark.skipif(torch.accelerator.is_available(), reason="for machines without a GPU")
def test_precisions_of_a_cpu() -> None:
    with pytest.raises(InputError, match="precision: fp16 needs a GPU; take bf16 or fp32"), accelerated(Acceleration("fp16")):
        pass
    for precision in ("bf16", "fp32"):  # one after another in one process
        with accelerated(Acceleration(precision)) as accelerator:
            assert accelerator.mixed_precision == {"fp32": "no"}.get(precision, precision)
    assert Process(0, 1, accelerator.device).hardware == "1 x cpu"
