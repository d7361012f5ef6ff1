"""Which crops a pass has is a function of the seed and of the progress of the run."""

import math
import multiprocessing
from pathlib import Path

import pytest
import torch
from helpers.runs import Crop, Waves, prior_config, train_waves

from medrestore.datasets.base import Crops
from medrestore.errors import InputError
from medrestore.training import Callbacks
from medrestore.training.batches import CropSampler, crop_loader, stream
from medrestore.training.checkpoint import Progress


def test_passes_depend_on_their_position_alone(tmp_path: Path) -> None:
    run = prior_config(tmp_path, images=400, optim__accumulate=2)
    plan = CropSampler(run, Progress())
    passes = list(plan)
    assert len(passes) == len(plan) == 2 * math.ceil(400 / 16)
    assert [at for one in passes for at, _ in one] == list(range(sum(map(len, passes))))  # every position once, in order
    assert {(len(one), one[0][1]) for one in passes} == {(8, 8), (2, 16)}  # a crop of twice the side counts as four
    done = sum(map(len, passes[:10]))
    assert list(CropSampler(run, Progress(step=5, seen=80, position=done))) == passes[10:]


def test_processes_share_the_crops_of_a_pass(tmp_path: Path) -> None:
    run = prior_config(tmp_path, images=160)
    both = zip(CropSampler(run, Progress(), 0, 2), CropSampler(run, Progress(), 1, 2), strict=True)
    positions = []
    for mine, yours in both:
        assert len({side for _, side in (*mine, *yours)}) == 1 and len(mine) == len(yours)
        positions += [at for at, _ in (*mine, *yours)]
    assert positions == list(range(len(positions)))


def test_every_image_is_read_once_an_epoch(tmp_path: Path) -> None:
    class Numbers(Waves):
        def __getitem__(self, index: int) -> torch.Tensor:
            return torch.full((2, 16, 16), float(index))

    run = prior_config(tmp_path, images=96, data__sides=[[8, 1.0]])
    batches = crop_loader(Crops(Numbers(), Crop(), seed=0), CropSampler(run, Progress()), pin=False)
    seen = torch.cat([batch.images[:, 0, 0, 0] for batch in batches])
    epochs = seen.reshape(8, 12).sort(1).values
    assert torch.equal(epochs, torch.arange(12.0).expand(8, 12)) and not torch.equal(seen[:12], seen[12:24])


def test_streams_differ_in_every_part() -> None:
    keys = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0, 1), (0, 0, 0, 1), (0, 1, 1), (0, 1, 0, 1))
    assert len({float(torch.rand((), generator=stream(*key))) for key in keys}) == len(keys)


class Damaged(Waves):
    """One of them cannot be read."""

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 5:
            raise InputError("wave 5 is damaged; leave it out")
        return super().__getitem__(index)


class Interrupt(Callbacks):
    """Ctrl-C after the first step."""

    def on_step(self, images: int, loss: torch.Tensor | float) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_input_in_a_worker_raises_its_own_message(tmp_path: Path, workers: int) -> None:
    with pytest.raises(InputError, match=r"^wave 5 is damaged; leave it out$"):
        train_waves(tmp_path, data=Damaged(), data__workers=workers)


def test_workers_end_when_a_run_fails(tmp_path: Path) -> None:
    """Even while its traceback is alive: they would outlive the interpreter's own attempt to end them, and block its exit."""
    for error, data, callbacks in ((InputError, Damaged(), None), (KeyboardInterrupt, Waves(), Interrupt())):
        with pytest.raises(error) as raised:
            train_waves(tmp_path / error.__name__, data=data, callbacks=callbacks, data__workers=1)
        assert multiprocessing.active_children() == [] and raised.tb is not None
