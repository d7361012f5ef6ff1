"""Training of diffusion priors: the denoising loss over noise levels, on augmented crops of images."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..datasets.base import Batch, Symmetric
from ..errors import InputError
from ..priors.architectures import build_network
from ..priors.store import save
from . import validation as validations
from .batches import NOISE, stream
from .card import card
from .checkpoint import Progress
from .conditioning import Given, Told
from .config import Config
from .crop_task import CropTask, adamw, laid_out, layout_of, no_crops
from .loss import denoising_loss, noise_levels, weighting
from .run import Run
from .runtime import Acceleration, Process, continue_default_stream
from .start import ImageData, check_classes, initial_network, stated_classes
from .task import RunResult


class PriorTask(CropTask):
    """A denoiser trained on crops (crop, channels, side, side).

    Args:
        config: of the run.
        data: images and augmentation.
    """

    config: Config
    result = "prior"

    def __init__(self, config: Config, data: ImageData) -> None:
        self.config, self.data = config, data
        self.initial = initial_network(config, data)
        self.target = self.initial.target
        self.draw, self.weight = (
            noise_levels(config.objective, self.target),
            weighting(config.objective, self.target),
        )
        self.layout = layout_of(config.channels_last)
        self.net = laid_out(self.initial.net, self.layout)
        if config.gradient_checkpointing:
            _checkpoint_gradients(self.net)
        self.has_dropout = any(
            isinstance(module, torch.nn.Dropout) and module.p > 0 for module in self.net.modules()
        )
        self.optimiser = adamw(self.net, config.optim)
        self.half_lives = {f"average-{images}": images for images in config.ema_images}
        self.passes = config.optim.accumulate
        self.acceleration = Acceleration(
            config.precision, config.compile, config.optim.accumulate, Path(config.out)
        )
        self.validation = no_crops()

    def losses(self, net: torch.nn.Module, batch: Batch, number: int, process: Process) -> Iterator[Tensor]:
        batch = batch.to(process.device, self.layout)
        x0 = batch.images
        generator = stream(self.config.seed, NOISE, number, process.rank, process.device)
        sigma = self.draw(len(x0), generator)
        noise = torch.randn(x0.shape, generator=generator, device=process.device)
        given = Given.of(batch).dropped(self.config.conditions, self.data.classes, generator)
        if self.has_dropout:
            continue_default_stream(generator)
        yield denoising_loss(given.network(net), self.target, x0, sigma, noise, self.weight)

    def scores(self, net: torch.nn.Module, process: Process) -> dict[str, float]:
        batch = self.validation.to(process.device)
        return validations.scores(
            told_network(net, batch),
            self.target,
            batch.images,
            draw=self.draw,
            weight=self.weight,
            seed=self.config.seed,
        )

    def after_step(self, run: Run[Batch], before: Progress) -> None:
        """Snapshots after epochs, and pictures."""
        for epoch in self.config.snapshots:
            if before.position < epoch * len(self.data.train) <= run.progress.position:
                run.snapshot(epoch)
        if not run.due(self.config.sample_images):
            return
        batch = self.validation.to(run.process.device)
        with run.averaged(next(iter(run.averages.values()))) as net:
            sheets = validations.pictures(
                told_network(net, batch),
                self.target,
                batch.images,
                self.initial.recipe,
                seed=self.config.seed,
            )
        if run.process.rank == 0:
            validations.write_pictures(sheets, run.out / "samples", run.progress.seen)
            run.show(sheets)

    def facts(self) -> dict[str, Any]:
        return {"parent": self.initial.parent} | stated_classes(self.data)

    def restore(self, facts: Mapping[str, Any]) -> None:
        check_classes(facts, self.data, self.config.out)
        self.initial = replace(self.initial, parent=facts["parent"])

    def write(self, folder: Path, result: RunResult) -> str:
        initial, data, config = self.initial, self.data, self.config
        with torch.device("meta"):
            net = build_network(initial.network)
        net.load_state_dict(result.weights, assign=True)
        facts = result.facts(config.card) | {"parent": initial.parent}
        save(folder, net, parametrisation=initial.target, recipe=initial.recipe, channels=data.channels,
             multiple=initial.multiple, config=dict(getattr(net, "config", {})) | initial.network, size=initial.size, card=facts,
             half=config.weights == "fp16", facts=_stated_conditions(data) | _stated_symmetries(data))
        return card(initial, data, config, result.progress, result.scores, facts,
                    parameters=sum(weight.numel() for weight in net.parameters()))


def _stated_conditions(data: ImageData) -> dict[str, Any]:
    """What `prior.json` says of the conditions that the network takes."""
    reference = data.reference_channels
    return stated_classes(data) | ({"reference": {"channels": reference}} if reference else {})


def _stated_symmetries(data: ImageData) -> dict[str, Any]:
    """What `prior.json` says of the ways in which the images might as well lie."""
    ways = data.augment.symmetries if isinstance(data.augment, Symmetric) else ()
    return {"symmetries": list(ways)} if ways else {}


def told_network(net: torch.nn.Module, batch: Batch) -> Told:
    """The network, told all that is known of some images of a batch."""
    given = Given.of(batch)
    return lambda numbers: given.at(numbers).network(net)


def _checkpoint_gradients(net: torch.nn.Module) -> None:
    enable: Callable[[], None] | None = getattr(
        net, "enable_gradient_checkpointing", None
    )  # of diffusers' models
    if enable is None:
        raise InputError(
            f"gradient_checkpointing: {type(net).__name__} cannot do it; take false, a smaller batch"
        )
    enable()
