"""What tasks on crops share."""

import torch

from medrestore.training.config import Optim
from medrestore.training.crop_task import adamw, layout_of, no_crops


def test_the_optimiser_follows_the_config() -> None:
    optimiser = adamw(torch.nn.Linear(2, 1), Optim(lr=0.5, weight_decay=0.1))
    (group,) = optimiser.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.5, (0.9, 0.99), 0.1)


def test_the_layout_is_that_of_the_config() -> None:
    assert layout_of(True) is torch.channels_last and layout_of(False) is torch.contiguous_format


def test_there_are_no_crops_before_they_are_prepared() -> None:
    assert len(no_crops()) == 0
