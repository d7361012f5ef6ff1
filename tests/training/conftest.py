"""Fixtures of the tests of training."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.runs import train_waves


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The arithmetic of other processes, which have one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """SIGINT interrupts, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was not interrupted."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("uninterrupted")
    train_waves(out)
    torch.set_num_threads(threads)
    return out
