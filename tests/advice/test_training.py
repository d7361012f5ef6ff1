"""Advice on trainings, followed: a setting left out or set otherwise, other data, another folder; then a batch is trained."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.advice import case, followed
from helpers.batches import SHORT, prior
from helpers.networks import save_complex_prior, save_rgb_prior
from helpers.runs import NETWORK, Crop, EdgedWaves, Waves, baseline_config, prior_config, train_waves
from training.test_classifier import Alone
from training.test_classifier import fit as classifier
from training.test_conditioning import BARE, Doubled, Named, Signed, beside, score_network
from training.test_conditioning import fit as of_classes
from training.test_scans import volume

from medrestore.priors.parametrisations import Parametrisation
from medrestore.priors.store import describe
from medrestore.training import export_last, train
from medrestore.training.baseline_config import Loss
from medrestore.training.config import Betas, Objective
from medrestore.training.loss import noise_levels, target_of, weighting
from medrestore.training.scans import load_scans


def labelled(out: Path, **how: Any) -> bool:
    names = describe(of_classes(out, **SHORT | how)).get("classes", {}).get("names")
    return names == ["down", "up"]


def told(out: Path, **how: Any) -> bool:
    return (classifier(out, **SHORT | how) / "classifier.json").is_file()


def referenced(out: Path, **how: Any) -> bool:
    return describe(beside(out, **SHORT | how)).get("reference") == {"channels": 1}


class Dark(EdgedWaves):
    """Scans one of which is empty."""

    def __getitem__(self, index: int) -> torch.Tensor:
        return super().__getitem__(index) * (index != 0)


class Wide(Doubled):
    """Reference images of two channels."""

    reference_channels = 2

    def reference_of(self, index: int) -> torch.Tensor:
        return torch.full((2, 24, 24), float(index % 2))


def mixed_references(out: Path, validation: Waves) -> bool:
    from training.test_conditioning import PairCrop

    made = prior_config(out, conditions={"reference": True}, network=BARE, **SHORT)
    return (train(made, images=Doubled(), validation=validation, augment=PairCrop()) / "prior.json").is_file()


def scans(folder: Path, *, images: Waves | None = None, **how: Any) -> Any:
    train, _ = load_scans(baseline_config(folder / "out", **how), images or EdgedWaves(), EdgedWaves(30, 6))
    return train


def supervised(folder: Path, **how: Any) -> bool:
    """A baseline that is trained with an augmentation: in the config, or handed over."""
    augment = how.pop("augment", None)
    made = baseline_config(folder / "out", images=4, **how)
    return (train(made, images=Waves(), validation=Waves(30, 6), augment=augment) / "baseline.json").is_file()


def measured(folder: Path, *, empty: bool) -> Any:
    """Scans of a fastMRI file, whose centre of k-space is measured or not."""
    import h5py

    volume(folder / "v.h5", 1, "patient")
    volume(folder / "w.h5", 2, "other")
    if empty:
        with h5py.File(folder / "v.h5", "r+") as file:
            file["kspace"][..., 14:22] = 0
    kinds = [
        {"kind": "kspace", "files": str(folder / name), "cache": str(folder / "cache")}
        for name in ("v.h5", "w.h5")
    ]
    return load_scans(baseline_config(folder / "out", data__train=kinds[:1], data__validation=kinds[1:]))[0]


def given(folder: Path, **how: Any) -> bool:
    """Whether a prior starts from one that is of colours, complex, of classes or of reference images."""
    parents = {
        "colours": lambda: save_rgb_prior(folder / "colours"),
        "complex": lambda: train_waves(folder / "complex", **SHORT),
        "classes": lambda: of_classes(folder / "classes", **SHORT),
        "reference": lambda: save_complex_prior(folder / "reference", reference=True),
    }
    parent = parents[how.pop("parent")]()
    return prior(folder / "out", **{"init": str(parent), "network": {}, "objective": {}, **how})


def damaged_run(out: Path) -> Path:
    """A run whose checkpoints are all cut."""
    train_waves(out, **SHORT)
    for path in (out / "checkpoints").rglob("*.safetensors"):
        shutil.copy(path, out.parent / path.name)
        path.write_bytes(path.read_bytes()[:100])
    return out


def mended(out: Path) -> bool:
    """A checkpoint copied back, and the folder begun anew."""
    for path in (out / "checkpoints").rglob("*.safetensors"):
        shutil.copy(out.parent / path.name, path)
    resumed = prior(out)
    shutil.rmtree(out)
    return resumed and prior(out)


CASES = [
    case(
        "a baseline is trained on scans, which no `augment` makes; set data.augment and data.sides",
        lambda folder: supervised(folder, augment=Crop()),
        lambda folder: supervised(folder, data__sides=[16], data__augment="complex_mr"),
    ),
    case(
        "none of the {} checkpoints in {} is intact ({}); copy one there again, or remove the folder "
        "to begin anew",
        lambda folder: prior(damaged_run(folder / "out")),
        lambda folder: mended(folder / "out"),
    ),
    case(
        "data.train has the class {} alone, which leaves nothing to tell apart; give images of others too",
        lambda folder: told(folder, data=Alone()),
        lambda folder: told(folder),
    ),
    case(
        "network.classes is the number of the labels in the data; leave it out",
        lambda folder: told(folder, network__classes=2),
        lambda folder: told(folder),
    ),
    case(
        "the network takes {} channels and the crops have {}; leave network.in_channels out, or take "
        "other data",
        lambda folder: told(folder, network__in_channels=3),
        lambda folder: told(folder),
    ),
    case(
        "a pool by attention takes crops of sample_size {} pixels alone; set data.sides to it, or "
        "take pool: mean",
        lambda folder: told(folder, **POOL),
        lambda folder: (
            told(folder / "a", **POOL, data__sides=[[16, 1.0]])
            and told(folder / "b", **POOL | {"network__pool": "mean"})
        ),
    ),
    case(
        "data.validation has the class {}, and data.train has {}; take images of the same classes",
        lambda folder: labelled(folder, validation=Named(30, 6)),
        lambda folder: labelled(folder, validation=Signed(30, 6)),
    ),
    case(
        "num_class_embeds is {}, and the data have {} classes{}; leave it out",
        lambda folder: labelled(folder, network__num_class_embeds=5),
        lambda folder: labelled(folder),
    ),
    case(
        "the network is conditioned on classes (num_class_embeds), and the run has no labels; leave "
        "it out, or set conditions.labels and label the data",
        lambda folder: prior(folder / "out", network__num_class_embeds=3),
        lambda folder: prior(folder / "out") and labelled(folder / "labels", network__num_class_embeds=3),
    ),
    case(
        "network.{} is {}, and with the reference image and a channel for whether there is one it "
        "must be {}; leave it out",
        lambda folder: referenced(folder, network=BARE | {"in_channels": 5}),
        lambda folder: referenced(folder),
    ),
    case(
        "Betas: start must be at most end, got {} and {}",
        lambda _: Betas(0.03, 0.02),
        lambda _: target_of(Objective("epsilon", betas=Betas(0.02, 0.02))).betas[-1] == 0.02,
    ),
    case(
        "Loss: l1 and ssim are both 0, so nothing would be learned; raise one",
        lambda _: Loss(0, 0),
        lambda _: [Loss(1, 0).l1, Loss(0, 1).ssim] == [1, 1],
    ),
    case(
        "no simple weighting is known for {}; take min_snr or edm",
        lambda _: weighting(Objective(weighting="simple"), UNKNOWN),
        lambda _: (
            [
                bool(weighting(Objective(weighting=name), UNKNOWN)(torch.ones(1)).isfinite())
                for name in ("min_snr", "edm")
            ]
            == [True, True]
        ),
    ),
    case(
        "objective.noise.kind is schedule, and this target has no timesteps; take log_normal or log_uniform",
        lambda _: drawn("schedule"),
        lambda _: [bool((drawn(kind) > 0).all()) for kind in ("log_normal", "log_uniform")] == [True, True],
    ),
    case(
        "{} holds checkpoints of a run of other classes than the data have now; give another out, or "
        "the labels of that run to resume it",
        lambda folder: (labelled(folder / "out"), renamed(folder / "out")),
        lambda folder: renamed(folder / "other") and labelled(folder / "out"),
    ),
    case(
        "{} holds no checkpoints; train first",
        lambda folder: exported(folder),
        lambda folder: prior(folder) and exported(folder),
    ),
    case(
        "{} holds checkpoints of another run ({}); give another out, or the config of that run to resume it",
        lambda folder: (prior(folder / "out"), prior(folder / "out", optim__lr=1e-3)),
        lambda folder: prior(folder / "other", optim__lr=1e-3) and prior(folder / "out"),
    ),
    case(
        "the loss is not finite any more at {} images; what {} holds is from before: take a lower "
        "optim.lr,{} in another out",
        lambda folder: prior(folder / "out", optim__lr=1e30, optim__warmup_images=0, images=24),
        lambda folder: prior(folder / "other", optim__lr=1e-3),
    ),
    case(
        "data.augment makes square crops; give data.sides, their sides in pixels, or leave it out",
        lambda folder: scans(folder, data__augment="complex_mr"),
        lambda folder: (
            scans(folder, data__augment="complex_mr", data__sides=[16])[0, None].target.shape == (1, 16, 16)
            and scans(folder)[0, None].target.shape == (1, 24, 24)
        ),
    ),
    case(
        "data: slice {} of {} is empty or not finite; leave it out",
        lambda folder: [scans(folder, images=Dark())[k, None] for k in range(12)],
        lambda folder: (
            [scans(folder, images=EdgedWaves(1, 6))[k, None].kspace.isfinite().all() for k in range(6)]
            == [True] * 6
        ),
    ),
    case(
        "{}: the centre of slice {} is not sampled; train on volumes of *_train or *_val.",
        lambda folder: measured(folder, empty=True)[0, None],
        lambda folder: measured(folder, empty=False)[0, None].target.isfinite().all(),
    ),
    case(
        "the network takes {} channels and the crops have {}; set network.in_channels and "
        "network.out_channels to {}, or take other data",
        lambda folder: prior(folder, data=Waves(), network=NETWORK | {"in_channels": 3, "out_channels": 3}),
        lambda folder: prior(folder, data=Waves(), network=NETWORK | {"in_channels": 2, "out_channels": 2}),
    ),
    case(
        "{} is a prior of {} and the run is of {}; take another parent, or set conditions and data as for it",
        lambda folder: given(folder, parent="classes"),
        lambda folder: (
            given(folder / "a", parent="complex")
            and labelled(
                folder / "b" / "out", init=str(folder / "classes" / "prior"), network={}, objective={}
            )
        ),
    ),
    case(
        "{} is a prior with {} channels of reference images and the run has {}; take another parent, "
        "or set conditions.reference as for it",
        lambda folder: given(folder, parent="reference"),
        lambda folder: (
            given(folder / "a", parent="complex")
            and referenced(folder / "b", init=str(folder / "reference"), network={}, objective={})
        ),
    ),
    case(
        "{} is a {}, and only a UNet2DModel can be given the channels of a reference image; take such a parent, or train "
        "without init",
        lambda folder: referenced(
            folder / "a", init=str(score_network(folder / "score")), network={}, objective={}
        ),
        lambda folder: (
            given(folder / "b", parent="complex")
            and referenced(folder / "c", init=str(folder / "b" / "complex" / "prior"), network={}, objective={})
            and referenced(folder / "d")
        ),
    ),
    case(
        "{} is a prior of {} images and the data are {}; take other data or another parent",
        lambda folder: given(folder, parent="colours"),
        lambda folder: given(folder / "a", parent="complex"),
    ),
    case(
        "reference images to train on have {} channels and those to validate with {}; take sources "
        "of one sort",
        lambda folder: mixed_references(folder, Wide(30, 6)),
        lambda folder: mixed_references(folder, Doubled(30, 6)),
    ),
    case(
        "the weights of {} do not fit the network of the config ({}); leave network out to take the parent's",
        lambda folder: given(folder, parent="complex", network=NETWORK | {"block_out_channels": [8, 24]}),
        lambda folder: given(folder / "again", parent="complex"),
    ),
]
POOL: dict[str, Any] = {
    "network__pool": "attention",
    "network__sample_size": 16,
    "network__pool_head_dim": 8,
    "data__validation_side": 16,
}
UNKNOWN: Any = type("Own", (Parametrisation,), {name: None for name in Parametrisation.__abstractmethods__})()


def drawn(kind: Any) -> torch.Tensor:
    from medrestore.training.config import Levels

    objective = Objective("edm", noise=Levels(kind))
    return noise_levels(objective, target_of(objective))(4, torch.Generator().manual_seed(0))


class Others(Signed):
    """The same images under other names."""

    def label_of(self, index: int) -> str:
        return "left" if index % 2 else "right"


def renamed(out: Path) -> bool:
    names = describe(of_classes(out, data=Others(), validation=Others(30, 6), **SHORT))["classes"]["names"]
    return bool(names == ["left", "right"])


def exported(out: Path) -> bool:
    made = export_last(prior_config(out, **SHORT), images=Waves(), validation=Waves(30, 6))
    return (made / "prior.json").is_file()


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_a_training_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
