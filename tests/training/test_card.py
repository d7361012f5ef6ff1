"""The model card names the network, its data, its scores and its parent."""

import torch
from helpers.runs import NETWORK, Crop, Waves, prior_config

from medrestore.codecs import CalibratedComplex, Interval, Recipe
from medrestore.priors.parametrisations import EDM
from medrestore.training.card import card
from medrestore.training.checkpoint import Progress
from medrestore.training.start import ImageData, Initial
from medrestore.training.validation import COLUMNS

RECIPE = CalibratedComplex(0.99)
NET = {"_class_name": "UNet2DModel"} | NETWORK


def example(tmp_path, recipe: Recipe = RECIPE, parent: dict[str, str] | None = None, **changes) -> str:
    initial = Initial(torch.nn.Identity(), 2, NET, EDM(0.5, 60.0, (0.002, 80.0)), recipe, 2, parent=parent)
    progress = Progress(12, 1_234_567, 1_234_567, 5400.0)
    data = ImageData(Waves(), Waves(30, 6), Crop())
    facts = {"ema_images": 6000, "hardware": "1 x cpu"}
    scores = dict.fromkeys(COLUMNS, 20.5)
    return card(initial, data, prior_config(tmp_path, **changes), progress, scores, facts, parameters=43_210)


def test_facts_of_a_new_prior(tmp_path) -> None:
    text = example(tmp_path, card__name="waves", card__licence="CC0", precision="bf16")
    for fact in ("# waves", "UNet2DModel, widths 8-16, 0.04 million", "1,234,567, counted at 8 pixels; sides 8 (share 0.5)",
                 "| noise levels | 0.002 to 80,", "| training | 12 | 4 |", "| validation | 6 | 2 |", "half-life of 6,000 images",
                 "1 x cpu, 1.50 hours, bf16", "random weights", "| licence | CC0 |", "crops only", "the 99% quantile",
                 "4 crops, the same noise each time. Loss 20.5", "| 0.5 | 20.50 |"):
        assert fact in text, fact


def test_parent_augmentation_and_range_are_named(tmp_path) -> None:
    text = example(tmp_path, Interval(0.0, 255.0), {"name": "brain", "sha256": "abc"}, data__augment={"kind": "frames"})
    for fact in ("| started from | brain, sha256 abc |", '`{"kind": "frames"}`', "[0, 255] becomes [-1, 1]"):
        assert fact in text, fact
