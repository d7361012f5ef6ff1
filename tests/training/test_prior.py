"""Training a prior lowers its denoising error."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers.runs import Crop, Recorder, Waves, prior_config, train_waves, weights
from PIL import Image

from medrestore.datasets.base import Crops
from medrestore.errors import InputError
from medrestore.priors import EDM, load
from medrestore.priors.store import describe
from medrestore.training import export_last, train
from medrestore.training.batches import stream


def test_training_lowers_the_denoising_error(tmp_path: Path) -> None:
    recorder = Recorder()
    train_waves(tmp_path, callbacks=recorder, images=1600, checkpoint_images=800, optim__lr=4e-3, optim__decay_images=800,
                ema_images=[100], data__sides=[[16, 1.0]])
    first, last = recorder.rows
    assert last["psnr_at_0.5"] > first["psnr_at_0.5"] > 6 + 0.5  # 6 dB are in the noise itself
    assert last["validation_loss"] < first["validation_loss"] < 1


def test_exported_prior_denoises_as_the_log_says(tmp_path: Path) -> None:
    """With its card, config, log and pictures."""
    folder = train_waves(tmp_path, ema_images=[16, 64], card__name="waves", card__licence="CC0", sample_images=48)
    prior, about = load(folder), describe(folder)
    assert prior.channels == 2 and prior.multiple == 2 and prior.parametrisation == EDM(0.5, 60.0, (0.002, 80.0))
    row = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    half_lives = {16: "", 64: " (64)"}
    best = min(half_lives, key=lambda half_life: row["validation_loss" + half_lives[half_life]])
    assert about["card"]["ema_images"] == best and about["card"]["images"] == 96 and about["card"]["parent"] is None
    crops = Crops(Waves(30, 6), Crop(), seed=4)
    x0 = torch.stack([crops[k, 16] for k in range(4)])
    noise = torch.randn(x0.shape, generator=stream(3, 3, 1))
    error = (prior(x0 + 0.5 * noise, 0.5) - x0).square().sum(1).mean()
    assert float(-10 * error.log10()) == pytest.approx(row["psnr_at_0.5" + half_lives[best]], abs=1e-3)
    card = (folder / "CARD.md").read_text()
    for fact in ("# waves", "UNet2DModel, widths 8-16", "0.04 million", "96, counted at 8 pixels", "CC0", "| training | 12 | 4 |",
                 "| validation | 6 | 2 |", "1 x cpu", "Research use only", "invent anatomy"):
        assert fact in card, fact
    assert yaml.safe_load((folder / "config.yaml").read_text())["images"] == 96
    with (folder / "log.csv").open() as file:
        assert [float(line["images"]) for line in csv.DictReader(file)] == [32, 64, 96]
    sheets = {path.name: np.asarray(Image.open(path)).shape for path in (tmp_path / "samples").iterdir()}
    assert sheets == {f"{name}-{n:09d}.png": size for n in (48, 96)
                      for name, size in (("samples", (32, 64)), ("denoising", (64, 192)))}
    assert list((tmp_path / "tensorboard").iterdir())


def test_export_of_an_unfinished_run(tmp_path: Path) -> None:
    data: Any = {"images": Waves(), "validation": Waves(30, 6), "augment": Crop()}
    with pytest.raises(InputError, match="holds no checkpoints; train first"):
        export_last(prior_config(tmp_path), **data)
    train_waves(tmp_path)
    before = weights(tmp_path)
    folder = export_last(prior_config(tmp_path, images=500), **data)
    assert weights(tmp_path) == before and load(folder).channels == 2


def test_snapshots_by_epoch(tmp_path: Path) -> None:
    train_waves(tmp_path, snapshots=[2, 4], data__sides=[[16, 1.0]])
    with (tmp_path / "snapshots.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["epoch"]), float(row["images"])) for row in rows] == [(2, 24), (4, 48)]
    assert all(float(row["validation_loss"]) > 0 for row in rows)
    assert [describe(tmp_path / "snapshots" / f"epoch-{n:02d}")["card"]["images"] for n in (2, 4)] == [24, 48]


@pytest.mark.parametrize(("ways", "stated"), [(("left-right", "phase"), ("left-right", "phase")), (None, ())])
def test_the_ways_in_which_crops_lie_are_stated_by_the_prior(tmp_path: Path, ways: Any, stated: tuple[str, ...]) -> None:
    class Turning(Crop):
        symmetries = ways

    augment = Crop() if ways is None else Turning()
    config = prior_config(tmp_path, images=16, checkpoint_images=16)
    folder = train(config, images=Waves(), validation=Waves(30, 6), augment=augment)
    assert load(folder).symmetries == stated
