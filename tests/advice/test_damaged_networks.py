"""Networks on disk that are damaged or altered: each is refused, copied again as the sentence says, and answers as before."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.advice import damage, followed
from helpers.autoencoders import autoencoder
from helpers.damage import entry, flip, lost, said
from helpers.networks import rewrite, save_classifier, save_rgb_prior
from helpers.slices import scan
from helpers.trained import network
from laws import white
from safetensors.torch import load_file, save_file

from medrestore import baselines, priors
from medrestore.baselines import Supervised
from medrestore.files import digest
from medrestore.priors import classifier_store, spaces
from medrestore.priors.spaces import LatentSpace

RGB = white((1, 3, 8, 8))
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
CONFIG = "unet/config.json"
KSPACE, MAPS, MASK, _ = scan(24, 20)


def prior(folder: Path) -> Path:
    return save_rgb_prior(folder / "prior")


def of_classes(folder: Path) -> Path:
    return save_rgb_prior(folder / "prior", names=("a", "b"))


def answer(path: Path) -> torch.Tensor:
    return priors.load(path)(RGB, 1.0)


def answer_of_class(path: Path) -> torch.Tensor:
    return priors.load(path, label="a")(RGB, 1.0)


def classifier(folder: Path) -> Path:
    save_classifier(folder / "c", names=("a", "b"))
    return folder / "c"


def tells(path: Path) -> torch.Tensor:
    return classifier_store.load(path)(RGB, 1.0).detach()


def space(folder: Path) -> Path:
    LatentSpace(autoencoder(), 2.0).save(folder, {})
    return folder


def codes(path: Path) -> torch.Tensor:
    return spaces.load(path).encode(white((1, 2, 8, 8))).detach()


def baseline(folder: Path) -> Path:
    baselines.save(folder / "b", Supervised(network("unet")))
    return folder / "b"


def image(path: Path) -> torch.Tensor:
    return baselines.load(path).reconstruct(KSPACE, MAPS, MASK)


def sealed(**values: Any) -> Callable[[Path], object]:
    """Another description, as if it had been written so."""
    return lambda path: rewrite(path, **values)


def resealed(name: str, **values: Any) -> Callable[[Path], object]:
    """Another configuration, as if it had been written so."""
    return lambda path: (entry(name, **values)(path), rewrite(path))


def sealed_classifier(**values: Any) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        from medrestore.priors.store import sealed as of

        about = json.loads((path / classifier_store.FILE).read_text()) | values
        (path / classifier_store.FILE).write_text(json.dumps(of(about)))

    return spoil


def no_number(path: Path) -> None:
    """A weight that is no number, as a run that went wrong saves it."""
    tensors = load_file(path / WEIGHTS)
    next(iter(tensors.values())).view(-1)[0] = math.nan
    save_file(tensors, path / WEIGHTS)
    rewrite(path, sha256=digest(path / WEIGHTS))


def baseline_of_others(path: Path) -> None:
    """The weights of another baseline, described as these."""
    tensors = {"other": torch.ones(2)}
    save_file(tensors, path / "weights.safetensors")
    entry("baseline.json", sha256=digest(path / "weights.safetensors"))(path)


STORED = [
    damage(
        "{} gives {} as size, which must be two whole numbers, height and width, each a multiple of "
        "{}; restore it from where the prior came from",
        prior,
        sealed(size=[3]),
        answer,
    ),
    damage(
        "{} was altered after it was written (its digest differs); restore it from where the prior came from",
        prior,
        entry("prior.json", multiple=4),
        answer,
    ),
    damage(
        "{}/prior.json speaks of {} channels and {} of {}; copy the prior again",
        prior,
        sealed(channels=1),
        answer,
    ),
    damage(
        "{}/prior.json describes its reference image as {}, which has no whole number of channels; "
        "restore it from where the prior came from",
        prior,
        sealed(reference={"channels": "x"}),
        answer,
    ),
    damage(
        "{} cannot be loaded: {} is no JSON object; copy the prior again", prior, said(CONFIG, "[]"), answer
    ),
    damage(
        "{} was altered after it was written (its sha256 differs); copy the prior again",
        prior,
        entry(CONFIG, own=1),
        answer,
    ),
    damage(
        "{} is not the file that {} describes (its sha256 differs); copy the {} again",
        prior,
        flip(WEIGHTS),
        answer,
    ),
    damage(
        "{} is not readable JSON ({}); restore it from where the prior came from",
        prior,
        said("prior.json", "{"),
        answer,
    ),
    damage(
        "{} gives {} as {}, which must be a whole number of at least 1; restore it from where the "
        "prior came from",
        prior,
        sealed(channels=0),
        answer,
    ),
    damage(
        "{} cannot be loaded: {} is missing or not readable JSON; copy the prior again",
        prior,
        lost(CONFIG),
        answer,
    ),
    damage(
        "{}: {} holds NaN or infinity, so it is no trained network; take another snapshot of that run",
        prior,
        no_number,
        answer,
    ),
    damage(
        "{} cannot be loaded as a {} ({}); copy the prior again",
        prior,
        resealed(CONFIG, block_out_channels=[8, 16]),
        answer,
    ),
    damage(
        "{}/prior.json describes {}, and only {} with their numbers are known; restore it from where "
        "the prior came from",
        prior,
        sealed(parametrisation={"kind": "none"}),
        answer,
    ),
    damage(
        "{} describes its classes as {}, which is no list of names and whether there is a class for "
        "any; restore it from where it came from",
        of_classes,
        sealed(classes={"names": "ab"}),
        answer_of_class,
    ),
    damage(
        "{} names {} classes and the network embeds {}; copy it again",
        of_classes,
        sealed(classes={"names": ["a", "b", "c"], "null": False}),
        answer_of_class,
    ),
    damage(
        "{}/prior.json names classes and its network knows none; copy the prior again",
        prior,
        sealed(classes={"names": ["a", "b"], "null": False}),
        answer,
    ),
    damage(
        "{}/{} speaks of {} channels and {} of {}; copy the classifier again",
        classifier,
        sealed_classifier(channels=1),
        tells,
    ),
    damage(
        "{} is not readable JSON; copy the autoencoder again", space, said("autoencoder.json", "{"), codes
    ),
    damage("{} lacks {}; copy the autoencoder again", space, entry("autoencoder.json", scale=None), codes),
    damage(
        "{} was altered after it was written, or is of another version; copy the autoencoder again",
        space,
        entry("autoencoder.json", scale=3.0),
        codes,
    ),
    damage(
        "{} has a {} where an autoencoder is needed; convert or copy it again",
        space,
        lambda path: another_network(path),
        codes,
    ),
    damage("{} has no {}; a {} needs its weights as safetensors, copy it again", baseline, lost("weights.safetensors"), image),
    damage(
        "{} is not the file that {} describes (its sha256 differs); copy the {} again",
        baseline,
        flip("weights.safetensors"),
        image,
    ),
    damage(
        "{} does not hold the weights of a {} ({}); copy the baseline again",
        baseline,
        baseline_of_others,
        image,
    ),
]


def another_network(path: Path) -> None:
    """The network of a prior in the place of an autoencoder, described as what it is."""
    from medrestore.priors.spaces import sealed as of

    other = save_rgb_prior(path.parent / "rgb")
    for name in ("config.json", "diffusion_pytorch_model.safetensors"):
        (path / "autoencoder" / name).write_bytes((other / "unet" / name).read_bytes())
    about = json.loads((path / "autoencoder.json").read_text())
    about["sha256"] = digest(path / "autoencoder" / "diffusion_pytorch_model.safetensors")
    about["config_sha256"] = {"autoencoder": digest(path / "autoencoder" / "config.json")}
    (path / "autoencoder.json").write_text(json.dumps(of(about)))


@pytest.mark.parametrize(("sentence", "wrong", "right"), STORED)
def test_a_network_is_copied_again(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
