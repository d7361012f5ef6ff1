"""A run learns, reports, evaluates, exports, and starts from another prior; what cannot work is refused first."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers.runs import Crop, Diary, Waves, config, go, weights
from PIL import Image

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.datasets import augmentation
from medrestore.datasets.base import Crops
from medrestore.errors import InputError
from medrestore.priors import EDM, Velocity, load, save
from medrestore.priors.architectures import build
from medrestore.priors.gaussian import StationaryGaussian
from medrestore.priors.parametrisations import Parametrisation, VarianceExploding
from medrestore.priors.store import describe
from medrestore.training import export_last, train
from medrestore.training.batches import Plan, loader, stream
from medrestore.training.checkpoint import Progress
from medrestore.training.ema import Average
from medrestore.training.evaluate import walk
from medrestore.training.log import write_log


def test_training_lowers_the_denoising_error(tmp_path: Path) -> None:
    diary = Diary()
    go(tmp_path, watch=diary, images=1600, checkpoint_images=800, optim__lr=4e-3, optim__decay_images=800, ema_images=[100],
       data__sides=[[16, 1.0]])
    first, last = diary.rows
    assert last["psnr_at_0.5"] > first["psnr_at_0.5"] > 6 + 0.5  # 6 dB are in the noise itself
    assert last["validation_loss"] < first["validation_loss"] < 1


def test_the_prior_of_a_run(tmp_path: Path) -> None:
    """It loads, and denoises as the log says."""
    folder = go(tmp_path, ema_images=[16, 64], card__name="waves", card__licence="CC0", sample_images=48)
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


def test_export_of_a_run_that_is_not_over(tmp_path: Path) -> None:
    kept = {"images": Waves(), "validation": Waves(30, 6), "augment": Crop()}
    with pytest.raises(InputError, match="holds no checkpoints; train first"):
        export_last(config(tmp_path), **kept)
    go(tmp_path)
    before = weights(tmp_path)
    folder = export_last(config(tmp_path, images=500), **kept)
    assert weights(tmp_path) == before and load(folder).channels == 2


def test_snapshots_by_epoch(tmp_path: Path) -> None:
    go(tmp_path, snapshots=[2, 4], data__sides=[[16, 1.0]])
    with (tmp_path / "snapshots.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(float(row["epoch"]), float(row["images"])) for row in rows] == [(2, 24), (4, 48)]
    assert all(float(row["validation_loss"]) > 0 for row in rows)
    assert [describe(tmp_path / "snapshots" / f"epoch-{n:02d}")["card"]["images"] for n in (2, 4)] == [24, 48]


def test_a_child_keeps_what_its_parent_was_unless_told(tmp_path: Path) -> None:
    parent = go(tmp_path / "parent", objective__kind="velocity")
    tender = {"network": {}, "init": str(parent), "images": 8, "optim__lr": 1e-12}
    child = go(tmp_path / "child", objective={}, **tender)
    assert isinstance(load(child).parametrisation, Velocity)
    pairs = zip(load(parent).net.parameters(), load(child).net.parameters(), strict=True)
    assert all(torch.allclose(old, new, atol=1e-6) for old, new in pairs)
    assert describe(child)["card"]["parent"] == {"name": "unnamed", "sha256": describe(parent)["sha256"]}
    assert describe(parent)["sha256"] in (child / "CARD.md").read_text()
    told = go(tmp_path / "told", objective={"kind": "edm"}, **tender)
    assert isinstance(load(told).parametrisation, EDM)
    with pytest.raises(InputError, match=r"do not fit the network of the config \(size mismatch .*leave network out"):
        go(tmp_path / "wrong", **tender | {"network": dict(config(tmp_path).network, block_out_channels=[8, 24])})


def test_a_score_network_is_a_parent_and_the_data_bring_the_recipe(tmp_path: Path) -> None:
    """NCSN++ names its channels otherwise; its description may lack a card."""
    made = {"_class_name": "NCSNpp", "channels": 2, "width": 8, "mults": [1, 1], "blocks": 1, "attention": [False, False]}
    net = build(made)
    net.frequencies.copy_(torch.linspace(-1, 1, 8))
    parent = tmp_path / "parent"
    save(parent, net, parametrisation=VarianceExploding((0.01, 10.0)), recipe=CalibratedComplex(0.9), channels=2, multiple=2,
         card={}, config=made)
    about = json.loads((parent / "prior.json").read_text())
    del about["card"]
    (parent / "prior.json").write_text(json.dumps(about))
    child = load(go(tmp_path / "child", network={}, init=str(parent), images=8))
    assert isinstance(child.parametrisation, VarianceExploding) and child.channels == 2
    assert child.recipe == Waves.recipe != CalibratedComplex(0.9)
    with pytest.raises(InputError, match="gradient_checkpointing: NCSNpp cannot do it"):
        go(tmp_path / "other", network={}, init=str(parent), gradient_checkpointing=True)


class Pictures(Waves):
    """In another unit than a parent's."""

    recipe = Interval(0.0, 1.0)


def test_a_child_keeps_the_range_of_its_parent(tmp_path: Path) -> None:
    made = config(tmp_path).network
    parent = tmp_path / "parent"
    save(parent, build({"_class_name": "UNet2DModel"} | made), parametrisation=EDM(), recipe=Interval(0.0, 255.0), channels=2,
         multiple=2, card={})
    assert load(go(tmp_path / "child", data=Pictures(), network={}, init=str(parent), images=8)).recipe == Interval(0.0, 255.0)


class Damaged(Waves):
    """One of them cannot be read."""

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 5:
            raise InputError("wave 5 is damaged; leave it out")
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_input_is_said_in_its_own_sentence_wherever_it_is_read(tmp_path: Path, workers: int) -> None:
    with pytest.raises(InputError, match=r"^wave 5 is damaged; leave it out$"):
        go(tmp_path, data=Damaged(), data__workers=workers)


def test_the_log_counts_millions_of_images(tmp_path: Path) -> None:
    write_log(tmp_path, "log", [{"images": 1234567.0, "loss": 0.123456789}])
    assert (tmp_path / "log.csv").read_text().splitlines()[1] == "1234567,0.123457"


class Twins(Waves):
    """Of patients that train, too."""

    def __init__(self) -> None:
        super().__init__(9, 6)


class Flat(Waves):
    channels, recipe = 1, Interval(0, 1)


@pytest.mark.parametrize(("given", "changes", "said"), [
    ({"validation": Twins()}, {}, "share patient 3"),
    ({"images": Waves(0, 0)}, {}, "data.train holds no images"),
    ({"images": None}, {}, "data.train is empty; name at least one source"),
    ({"validation": Flat()}, {}, "training images have 2 channels and validation images 1"),
    ({"images": Flat(), "validation": Flat(30)}, {}, "the network takes 2 channels and the crops have 1"),
    ({}, {"data__sides": [[9, 1.0]]}, "sides of 9 pixels do not fit the network; .* must be multiples of 2"),
    ({}, {"data__validation_side": 13}, "sides of 13 pixels do not fit"),
    ({}, {"network__num_class_embeds": 4}, "told a class"),
    ({"augment": augmentation("frames")}, {}, "frames is for pictures"),
    ({}, {"network": {}}, "give network, the arguments of a UNet2DModel, or init"),
    ({}, {"network__colour": 1}, "network cannot be built: .*colour"),
    ({}, {"network__norm_num_groups": 3}, "network cannot be built"),
    ({}, {"init": "nowhere"}, "no prior at nowhere"),
    ({"images": Flat(), "validation": Flat(30)}, {"init": "brain-mr-starter"}, "CalibratedComplex images and the data are Int"),
    ({}, {"precision": "fp16"}, "fp16 needs a GPU"),
    ({}, {"objective__noise__kind": "schedule"}, "no timesteps"),
])
def test_refusals_before_any_work(tmp_path: Path, given: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    kept = {"images": Waves(), "validation": Waves(30, 6), "augment": Crop()} | given
    with pytest.raises(InputError, match=said):
        train(config(tmp_path, **changes), **kept)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------- the pieces


def test_the_passes_are_those_of_their_place_wherever_the_run_starts(tmp_path: Path) -> None:
    run = config(tmp_path, images=400, optim__accumulate=2)
    plan = Plan(run, Progress())
    passes = list(plan)
    assert len(passes) == len(plan) == 2 * math.ceil(400 / 16)
    assert [at for one in passes for at, _ in one] == list(range(sum(map(len, passes))))  # every position once, in order
    assert {(len(one), one[0][1]) for one in passes} == {(8, 8), (2, 16)}  # a crop of twice the side counts as four
    done = sum(map(len, passes[:10]))
    assert list(Plan(run, Progress(step=5, seen=80, position=done))) == passes[10:]


def test_processes_share_the_crops_of_a_pass(tmp_path: Path) -> None:
    run = config(tmp_path, images=160)
    both = zip(Plan(run, Progress(), 0, 2), Plan(run, Progress(), 1, 2), strict=True)
    positions = []
    for mine, yours in both:
        assert len({side for _, side in (*mine, *yours)}) == 1 and len(mine) == len(yours)
        positions += [at for at, _ in (*mine, *yours)]
    assert positions == list(range(len(positions)))


def test_every_image_comes_once_an_epoch(tmp_path: Path) -> None:
    class Numbers(Waves):
        def __getitem__(self, index: int) -> torch.Tensor:
            return torch.full((2, 16, 16), float(index))

    run = config(tmp_path, images=96, data__sides=[[8, 1.0]])
    seen = torch.cat([batch[:, 0, 0, 0] for batch in loader(Crops(Numbers(), Crop(), seed=0), Plan(run, Progress()), pin=False)])
    epochs = seen.reshape(8, 12).sort(1).values
    assert torch.equal(epochs, torch.arange(12.0).expand(8, 12)) and not torch.equal(seen[:12], seen[12:24])


def test_streams_differ_in_every_part() -> None:
    keys = ((0, 0), (1, 0), (0, 1), (1, 1), (0, 0, 1), (0, 0, 0, 1), (0, 1, 1), (0, 1, 0, 1))
    assert len({float(torch.rand((), generator=stream(*key))) for key in keys}) == len(keys)


def test_an_average_forgets_half_in_its_half_life() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 1.0)
    average = Average(net, 100)
    torch.nn.init.constant_(net.weight, 0.0)
    for step in range(10):
        average.follow(net, 10_000 + 10 * step, 10)
    with average.worn_by(net):
        assert float(net.weight.detach()) == pytest.approx(0.5)
    assert float(net.weight.detach()) == 0.0


def test_the_walk_draws_from_the_prior() -> None:
    """Of a Gaussian prior the deterministic walk makes Gaussian images of its power."""
    power = torch.full((8, 8), 0.25)
    gaussian = StationaryGaussian(power)

    class Exact(Parametrisation):
        sigma_range = (0.01, 40.0)

        def estimate(self, net: Any, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return gaussian(x, float(sigma[0]))

    noise = torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(walk(torch.nn.Identity(), Exact(), noise, steps=60).std()) == pytest.approx(0.5, rel=0.06)
