"""Training of priors of codes, with or without the coarse image as a condition; in pixels where there are no codes.

By one process: the codes of all crops lie in memory.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..datasets.base import Images
from ..datasets.base import Progress as Preparation
from ..errors import InputError
from ..priors import spaces
from ..priors.conditional import Conditioned
from ..priors.latent import AUTOENCODER, LATENT, LOW_RESOLUTION
from ..priors.parametrisations import Network
from ..priors.spaces import LatentSpace
from ..priors.store import save
from ..settings import plain
from .batches import NOISE, SAMPLES, SIDES, stream
from .card import latent_card
from .checkpoint import Progress
from .codes import Codes, CodeSource
from .conditioning import Given, with_classes
from .crop_task import adamw, laid_out, layout_of
from .latent_config import LatentConfig
from .loss import denoising_loss, noise_levels, target_of, weighting
from .runtime import Acceleration, Process
from .start import ImageData, check_classes, drawn_network, multiple_of, stated_classes
from .task import SCORE, RunResult, TrainingTask
from .validation import LEVELS


@dataclass(frozen=True)
class Numbers:
    """The numbers of the codes of one pass."""

    codes: list[int]

    def __len__(self) -> int:
        return len(self.codes)


class LatentTask(TrainingTask[Numbers]):
    """A denoiser of codes (code, channels, h, w), which may be given the coarse image as further channels.

    Args:
        config: of the run.
        data: images and augmentation.
        autoencoder: folder of the space of the codes; None: there are no codes, and pixels are learned.
    """

    config: LatentConfig
    result = "prior"
    parallel = False

    def __init__(self, config: LatentConfig, data: ImageData, autoencoder: str | None) -> None:
        self.config, self.data = config, data
        self.space = None if autoencoder is None else spaces.load(autoencoder)
        key = "" if autoencoder is None else str(spaces.describe(Path(autoencoder))["digest"])
        self.train, self.held_out = (self._source(images, key, count, number) for number, (images, count) in enumerate((
            (data.train, config.latent.crops), (data.validation, config.data.validation_crops))))
        self.channels = self.train.channels
        self.given = self.train.image_channels if config.low_resolution else 0
        _check_codes(config, self.space, data)
        self.network = with_classes({
            "_class_name": "UNet2DModel", "in_channels": self.channels + self.given, "out_channels": self.channels,
        } | config.network, data.classes)
        net = drawn_network(self.network, config.seed)
        _check_network(self.network, self.channels, self.given, config.side // self.factor)
        self.target = target_of(config.objective)
        self.draw, self.weight = noise_levels(config.objective, self.target), weighting(config.objective, self.target)
        self.layout = layout_of(config.channels_last)
        self.net = laid_out(net, self.layout)
        self.optimiser = adamw(net, config.optim)
        self.half_lives = {"average": config.ema_images}
        self.passes = config.optim.accumulate
        self.acceleration = Acceleration(accumulate=config.optim.accumulate, tensorboard=Path(config.out))
        self.codes = self.validation = Codes(torch.empty(0))

    def _source(self, images: Images, key: str, count: int, number: int) -> CodeSource:
        low = self.config.low_resolution
        source = CodeSource(images, self.data.augment, self.space, key, self.config.side, count, self.config.seed + number,
                            classes=tuple(self.data.names))
        return source if low is None else replace(source, factor=low.factor, recipe=low.recipe)

    @property
    def factor(self) -> int:
        """How many times larger an image is than what is learned."""
        return 1 if self.space is None else self.space.factor

    def counts(self) -> list[int]:
        return self.data.counts

    def facts(self) -> dict[str, Any]:
        return stated_classes(self.data)

    def restore(self, facts: Mapping[str, Any]) -> None:
        check_classes(facts, self.data, self.config.out)

    def prepare(self, progress: Preparation) -> None:
        self.data.prepare(progress)
        cache = Path(self.config.latent.cache or Path(self.config.out) / "codes")
        self.codes = self.train.read(cache, "encoding training crops", progress)
        self.validation = self.held_out.read(cache, "encoding validation crops", progress)

    def batches(self, progress: Progress, process: Process) -> Generator[Numbers, None, None]:
        """Every code once an epoch, in an order of its own for each."""
        optim, position, seen, count = self.config.optim, progress.position, progress.seen, len(self.codes)
        epoch, order = -1, []
        while seen < self.config.images:
            for _ in range(optim.accumulate):
                chosen = []
                for at in range(position, position + optim.batch):
                    if at // count != epoch:
                        epoch = at // count
                        order = torch.randperm(count, generator=stream(self.config.seed, SIDES, epoch)).tolist()
                    chosen.append(order[at % count])
                position += optim.batch
                yield Numbers(chosen)
            seen += optim.batch * optim.accumulate

    def losses(self, net: torch.nn.Module, batch: Numbers, number: int, process: Process) -> Iterator[Tensor]:
        x0, condition, told = self._told(self.codes, batch.codes, process)
        generator = stream(self.config.seed, NOISE, number, process.rank, process.device)
        sigma = self.draw(len(x0), generator)
        noise = torch.randn(x0.shape, generator=generator, device=process.device)
        if condition is not None and self.config.low_resolution:
            given = torch.rand((len(x0), 1, 1, 1), generator=generator, device=process.device) >= self.config.low_resolution.drop
            condition = condition * given
        told = told.dropped(self.config.conditions, self.data.classes, generator)
        yield denoising_loss(_network(net, condition, told), self.target, x0, sigma, noise, self.weight)

    def _told(self, codes: Codes, numbers: Sequence[int], process: Process) -> tuple[Tensor, Tensor | None, Given]:
        """Some of the codes, on the device; the coarse images where there are any; and the classes."""
        at = list(numbers)
        pairs = codes.pairs[at].to(process.device, memory_format=self.layout)
        labels = None if codes.labels is None else codes.labels[at].to(process.device)
        return pairs[:, : self.channels], pairs[:, self.channels :] if self.given else None, Given(labels)

    @torch.no_grad()
    def scores(self, net: torch.nn.Module, process: Process) -> dict[str, float]:
        """The denoising loss of fixed codes, and the root mean square error of codes of std 1 at each of `LEVELS`."""
        generator, x0 = stream(self.config.seed, SAMPLES, 1), self.validation.pairs[:, : self.channels]
        noise, sigma = torch.randn(x0.shape, generator=generator), self.draw(len(x0), generator)
        levels = {SCORE: sigma} | {f"error_at_{level}": torch.full_like(sigma, level) for level in LEVELS}
        made = {}
        for name, level in levels.items():
            errors = []
            for some in torch.arange(len(x0)).split(self.config.optim.batch):
                _, condition, told = self._told(self.validation, some.tolist(), process)
                x = x0[some] + level[some].reshape(-1, 1, 1, 1) * noise[some]
                network = _network(net, condition, told)
                found = self.target.estimate(network, x.to(process.device), level[some].to(process.device)).cpu()
                errors.append((found - x0[some]).square().mean((1, 2, 3)))
            error = torch.cat(errors)
            made[name] = float((self.weight(level) * error).mean() if name == SCORE else error.mean().sqrt())
        return made

    def write(self, folder: Path, result: RunResult) -> str:
        config = self.config
        net = drawn_network(self.network, config.seed)
        net.load_state_dict(result.weights)
        facts = result.facts(config.card) | {"scores": {key: round(value, 5) for key, value in result.scores.items()}}
        about, parts = stored_facts(self.space, self.given, config)
        about |= stated_classes(self.data)
        save(folder, net, parametrisation=self.target, recipe=self.data.train.recipe, channels=self.channels,
             multiple=multiple_of(self.network), card=facts, facts=about, parts=parts, half=config.weights == "fp16")
        return latent_card(self.target, self.network, self.space, self.data, config, result.progress, result.scores)


def stored_facts(space: LatentSpace | None, given: int, config: LatentConfig) -> tuple[dict[str, Any],
                                                                                       dict[str, torch.nn.Module]]:
    """What `prior.json` says of the codes and of the condition, and the parts of the prior."""
    about: dict[str, Any] = {}
    if space is not None:
        about[LATENT] = {"scale": space.scale}
    if config.low_resolution is not None:
        about |= {"condition_channels": given, LOW_RESOLUTION: plain(config.low_resolution)}
    return about, {} if space is None else {AUTOENCODER: space.autoencoder}


def _network(net: torch.nn.Module, condition: Tensor | None, told: Given) -> Network:
    """The network as a function (x, t), given the coarse image of each image and its class."""
    return told.network(net if condition is None else Conditioned(net, condition))


def _check_codes(config: LatentConfig, space: LatentSpace | None, data: ImageData) -> None:
    """Refuses an autoencoder, a side or a factor that do not fit the data."""
    if space is not None:
        if space.channels != data.channels or type(space.recipe) is not type(data.train.recipe):
            raise InputError(f"the autoencoder is of {space.channels} channels ({space.recipe}) and the crops have "
                             f"{data.channels} ({data.train.recipe}); take the one that was trained on such images")
        if config.side % space.factor:
            raise InputError(f"crops of {config.side} pixels do not fit codes of 1 / {space.factor}; set data.sides to a "
                             "multiple")
    low, factor = config.low_resolution, 1 if space is None else space.factor
    if low is not None and (low.factor % factor or config.side % low.factor):
        raise InputError(f"coarse images of 1 / {low.factor} fit neither codes of 1 / {factor} nor crops of {config.side} "
                         "pixels; low_resolution.factor must be a multiple of the first and divide data.sides")
    if low is None and space is None:
        raise InputError("pixels without low_resolution are what a plain prior learns; leave latent out")


def _check_network(network: dict[str, Any], channels: int, given: int, side: int) -> None:
    """Refuses a network of other channels, or of more levels than codes can be halved."""
    if (network["in_channels"], network["out_channels"]) != (channels + given, channels):
        raise InputError(f"the network is of {network['in_channels']} channels in and {network['out_channels']} out, and "
                         f"{channels + given} and {channels} are needed; leave them out")
    multiple = multiple_of(network)
    if side % multiple:
        raise InputError(f"codes of {side} x {side} do not fit a network whose images are multiples of {multiple}; set "
                         f"data.sides to {multiple} times what it is, or take fewer block_out_channels")
