"""Training of classifiers of noisy images, for guidance: cross-entropy over noise levels, on augmented crops."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..datasets.base import Batch
from ..errors import InputError
from ..priors import classifier_store
from ..priors.architectures import build_network
from ..priors.classes import Classes
from .batches import NOISE, SAMPLES, stream
from .classifier_config import ClassifierConfig
from .crop_task import CropTask, no_crops
from .loss import noise_levels, target_of
from .runtime import Acceleration, Process
from .start import ImageData, check_sides, drawn_network, multiple_of
from .task import SCORE, RunResult
from .validation import BATCH, LEVELS


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
        self.net = drawn_network(self.network, config.seed)
        self.target = target_of(config.objective)
        self.draw = noise_levels(config.objective, self.target)
        check_sides(config, multiple_of(self.network))
        _check_pool(config)
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

    def write(self, folder: Path, result: RunResult) -> str:
        with torch.device("meta"):
            net = build_network(self.network)
        net.load_state_dict(result.weights, assign=True)
        size = self.network.get("sample_size") if self.network.get("pool") == "attention" else None
        card = result.facts(self.config.card) | {"scores": dict(result.scores)}
        classifier_store.save(
            folder, net, parametrisation=self.target, recipe=self.data.train.recipe, channels=self.data.channels,
            multiple=multiple_of(self.network), size=None if size is None else (size, size), classes=self.classes, card=card)
        return ""


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


def _check_pool(config: ClassifierConfig) -> None:
    only = config.network.get("sample_size") if config.network.get("pool") == "attention" else None
    if only is not None and {side for side, _ in config.data.sides} | {config.data.validation_side or only} != {only}:
        raise InputError(f"a pool by attention takes crops of sample_size {only} pixels alone; set data.sides to it, or take "
                         "pool: mean")


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None  # the crops are those of a run with classes
    return batch.labels
