"""Training of classifiers of noisy images, for guidance: cross-entropy over noise levels, on augmented crops."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..datasets.base import Augment, Batch, Images
from ..errors import InputError, first_line
from ..files import new_folder
from ..priors import classifier_store
from ..priors.architectures import build_network
from ..priors.classes import Classes
from . import run as runs
from .batches import NOISE, SAMPLES, WEIGHTS, stream
from .checkpoint import ADVICE
from .classifier_config import ClassifierConfig
from .crop_task import CropTask, no_crops
from .export import write_run
from .loss import noise_levels, target_of
from .runtime import Acceleration, Process, continue_default_stream
from .start import ImageData, load_images, multiple_of
from .task import SCORE, Callbacks, RunResult
from .validation import BATCH, LEVELS


def train_classifier(config: ClassifierConfig, *, images: Images | None = None, validation: Images | None = None,
                     augment: Augment | None = None, callbacks: Callbacks | None = None, resume: bool = True) -> Path:
    """Trains a classifier, or resumes its training, and returns its folder, which plans take as `classifier`.

    Args:
        config: the run; see `ClassifierConfig`.
        images, validation, augment: instead of `config.data.train`, `.validation` and `.augment`.
        callbacks, resume: as `run.run`, which also says what is raised.
    """
    return runs.run(ClassifierTask(config, load_images(config, images, validation, augment)), callbacks=callbacks, resume=resume)


def export_last_classifier(config: ClassifierConfig, *, images: Images | None = None, validation: Images | None = None,
                           augment: Augment | None = None) -> Path:
    """Exports the classifier of the last checkpoint, finished or not; arguments as for `train_classifier`.

    Raises:
        InputError: no checkpoint in `config.out` is intact.
    """
    return runs.export_last_checkpoint(ClassifierTask(config, load_images(config, images, validation, augment)))


class ClassifierTask(CropTask):
    """A network that tells the class of a noisy crop.

    Args:
        config: of the run.
        data: images with labels, and augmentation.
    """

    config: ClassifierConfig
    result = "classifier"

    def __init__(self, config: ClassifierConfig, data: ImageData) -> None:
        assert data.classes is not None  # which `ClassifierConfig.conditions` asks for
        self.config, self.data, self.classes = config, data, data.classes
        self.network = _network_arguments(config, data, self.classes)
        self.net = _built(config, self.network)
        self.target = target_of(config.objective)
        self.draw = noise_levels(config.objective, self.target)
        _check_sides(config, multiple_of(self.network))
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.optim.lr, weight_decay=config.optim.weight_decay)
        self.half_lives = {"average": config.ema_images}
        self.passes = config.optim.accumulate
        self.acceleration = Acceleration("fp32", accumulate=config.optim.accumulate, tensorboard=Path(config.out))
        self.validation = no_crops()

    def losses(self, net: torch.nn.Module, batch: Batch, number: int, process: Process) -> Iterator[Tensor]:
        batch = batch.to(process.device)
        generator = stream(self.config.seed, NOISE, number, process.rank, process.device)
        logits = self._logits(net, batch.images, self.draw(len(batch), generator), generator)
        yield functional.cross_entropy(logits, _labels(batch))

    def scores(self, net: torch.nn.Module, process: Process) -> dict[str, float]:
        """The cross-entropy at levels as in training, and the share of crops whose class is told right at some levels."""
        batch = self.validation.to(process.device)
        labels = _labels(batch)

        def logits(sigma: Tensor, number: int) -> Tensor:
            generator = stream(self.config.seed, SAMPLES, number, device=process.device)
            parts = zip(batch.images.split(BATCH), sigma.split(BATCH), strict=True)
            with torch.no_grad():
                return torch.cat([self._logits(net, *part, generator) for part in parts])

        drawn = self.draw(len(batch), stream(self.config.seed, SAMPLES, 1, device=process.device))
        found = {SCORE: float(functional.cross_entropy(logits(drawn, 2), labels))}
        for level in LEVELS:
            right = logits(torch.full_like(drawn, level), 3).argmax(1) == labels
            found[f"accuracy_at_{level}"] = float(right.float().mean())
        return found

    def _logits(self, net: torch.nn.Module, x0: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(x0.shape, generator=generator, device=x0.device)
        x = x0 + sigma.reshape(-1, 1, 1, 1) * noise
        logits: Tensor = net(*self.target.inputs(x, sigma))
        return logits.float()

    def export(self, folder: Path, result: RunResult) -> None:
        with torch.device("meta"):
            net = build_network(self.network)
        net.load_state_dict(result.weights, assign=True)
        size = self.network.get("sample_size") if self.network.get("pool") == "attention" else None
        card = asdict(self.config.card) | {"images": result.progress.seen, "hardware": result.process.hardware,
                                           "scores": dict(result.scores)}
        with new_folder(folder, replace=True, advice=ADVICE) as part:
            classifier_store.save(
                part, net, parametrisation=self.target, recipe=self.data.train.recipe, channels=self.data.channels,
                multiple=multiple_of(self.network), size=None if size is None else (size, size), classes=self.classes, card=card)
            write_run(part, self.config, result.progress)


def _network_arguments(config: ClassifierConfig, data: ImageData, classes: Classes) -> dict[str, Any]:
    """The arguments of the network, `_class_name` included.

    Raises:
        InputError: arguments that the run itself decides, or other channels than the crops have.
    """
    if classes.number < 2:
        raise InputError(f"data.train has the class {classes.names[0]} alone, which leaves nothing to tell apart; give images of "
                         "others too")
    if not config.network:
        raise InputError("give network, the arguments of an EncoderUNet (docs/conditions.md)")
    if "classes" in config.network:
        raise InputError("network.classes is the number of the labels in the data; leave it out")
    network = {"_class_name": "EncoderUNet", "in_channels": data.channels} | config.network | {"classes": classes.number}
    if network["in_channels"] != data.channels:
        raise InputError(f"the network takes {network['in_channels']} channels and the crops have {data.channels}; leave "
                         "network.in_channels out, or take other data")
    return network


def _built(config: ClassifierConfig, network: dict[str, Any]) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        continue_default_stream(stream(config.seed, WEIGHTS))
        try:
            return build_network(network)
        except InputError:
            raise
        except Exception as error:  # whatever the network says of arguments it cannot take
            raise InputError(f"network cannot be built: {first_line(error)}") from error


def _check_sides(config: ClassifierConfig, multiple: int) -> None:
    sides = [side for side, _ in config.data.sides] + [config.data.validation_side or multiple]
    if wrong := [side for side in sides if side % multiple]:
        raise InputError(f"sides of {', '.join(map(str, wrong))} pixels do not fit the network; data.sides and "
                         f"data.validation_side must be multiples of {multiple}")
    only = config.network.get("sample_size") if config.network.get("pool") == "attention" else None
    if only is not None and {side for side, _ in config.data.sides} | {config.data.validation_side or only} != {only}:
        raise InputError(f"a pool by attention takes crops of sample_size {only} pixels alone; set data.sides to it, or take "
                         "pool: mean")


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None  # the crops are those of a run with classes
    return batch.labels
