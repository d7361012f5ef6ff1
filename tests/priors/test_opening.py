"""Priors that are told the class of an image."""

from pathlib import Path

import pytest
import torch
from helpers.networks import rewrite, save_rgb_prior

from medrestore.conditions import Conditions
from medrestore.errors import InputError
from medrestore.priors import load, opened


def test_the_class_is_heard(tmp_path: Path) -> None:
    folder = save_rgb_prior(tmp_path / "prior", names=("gut", "liver"), null=True)
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    estimates = [opened(folder, Conditions(label=label))(x, 0.5) for label in ("gut", "liver", None)]
    assert torch.equal(estimates[1], load(folder, label="liver")(x, 0.5))
    labels = torch.tensor([0, 1, 2])
    together = load(folder).of_classes(x, 0.5, labels)
    for number in range(3):  # one class for each image of a batch
        torch.testing.assert_close(together[number], estimates[number][number], rtol=1e-4, atol=1e-6)
    assert (estimates[0] - estimates[1]).abs().max() > 1e-4


def test_what_does_not_suit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without classes; leave `label` out"):
        opened("brain-mr-starter", Conditions(label="T1w"))
    with pytest.raises(InputError, match="its classes are gut, liver"):
        opened(save_rgb_prior(tmp_path / "classes", names=("gut", "liver")), Conditions())
    rewrite(tmp_path / "classes", classes={"names": ["gut", "liver", "skin"], "null": False})
    with pytest.raises(InputError, match="names 3 classes and the network embeds 2"):
        opened(tmp_path / "classes", Conditions(label="gut"))
    with pytest.raises(InputError, match="knows no classes"):
        load("brain-mr-starter").of_classes(torch.zeros(1, 2, 8, 8), 1.0, torch.tensor([0]))
