"""Training of autoencoders: images by way of their codes, and the scale that gives the codes a std of 1.

By one process: the judge of the adversarial loss learns in the same step, from the same reconstructions.
"""

from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..datasets.base import Augment, Crops, Images
from ..datasets.base import Progress as Preparation
from ..errors import InputError
from ..files import new_folder
from ..priors.autoencoder import Autoencoder
from ..priors.spaces import LatentSpace, peak_of
from . import run as runs
from .batches import NOISE, SAMPLES, WEIGHTS, CropSampler, stream, with_worker_errors, worker_options
from .card import autoencoder_card
from .checkpoint import ADVICE, Progress
from .crop_task import adamw, layout_of
from .export import write_run
from .latent_config import AutoencoderConfig
from .reconstruction import Judge, reconstruction_error
from .runtime import Acceleration, Process, continue_default_stream
from .start import ImageData, drawn_network, load_images
from .task import SCORE, Callbacks, RunResult, TrainingTask

CLASSES = {"kl": "AutoencoderKL", "vq": "VQModel"}
AT_ONCE = 8  # crops in one call where nothing is learned


def train_autoencoder(
    config: AutoencoderConfig, *, images: Images | None = None, validation: Images | None = None,
    augment: Augment | None = None, callbacks: Callbacks | None = None, resume: bool = True,
) -> Path:
    """Trains an autoencoder, or resumes its training, and returns its folder, which `priors.spaces.load` takes.

    Args:
        config: the run; see `AutoencoderConfig`.
        images, validation, augment: instead of `config.data.train`, `.validation` and `.augment`.
        callbacks, resume: as `run.run`, which also says what is raised.
    """
    task = AutoencoderTask(config, load_images(config, images, validation, augment))
    return runs.run(task, callbacks=callbacks, resume=resume)


def export_last_autoencoder(
    config: AutoencoderConfig, *, images: Images | None = None, validation: Images | None = None,
    augment: Augment | None = None,
) -> Path:
    """Exports the autoencoder of the last checkpoint, finished or not; arguments as for `train_autoencoder`.

    Raises:
        InputError: no checkpoint in `config.out` is intact.
    """
    return runs.export_last_checkpoint(AutoencoderTask(config, load_images(config, images, validation, augment)))


class WithJudge(torch.nn.Module):
    """An autoencoder and, where the loss has one, its judge."""

    def __init__(self, autoencoder: Autoencoder, judge: Judge | None) -> None:
        super().__init__()
        self.autoencoder, self.judge = autoencoder, judge

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.autoencoder.reconstruct(image, noise)


class AutoencoderTask(TrainingTask[Tensor]):
    """An autoencoder trained on crops (crop, channels, side, side).

    Args:
        config: of the run.
        data: images and augmentation.
    """

    config: AutoencoderConfig
    result = "autoencoder"
    parallel = False

    def __init__(self, config: AutoencoderConfig, data: ImageData) -> None:
        self.config, self.data = config, data
        self.network = complete(config, data.channels)
        autoencoder = cast("Autoencoder", drawn_network(self.network, config.seed))
        _check_crops(config, autoencoder, data)
        judge = None
        if config.loss.adversarial:
            with torch.random.fork_rng(devices=[]):
                continue_default_stream(stream(config.seed, WEIGHTS, 1))
                judge = Judge(data.channels, config.loss.judge_width)
        self.layout = layout_of(config.channels_last)
        # memory_format is missing in the stub of Module.to
        self.net = WithJudge(autoencoder, judge).to(memory_format=self.layout)  # type: ignore[call-overload]
        self.optimiser = adamw(self.net, config.optim)
        self.half_lives = {"average": config.ema_images}
        self.passes = config.optim.accumulate
        self.acceleration = Acceleration(accumulate=config.optim.accumulate, tensorboard=Path(config.out))
        self.validation = torch.empty(0)

    def counts(self) -> list[int]:
        return self.data.counts

    def prepare(self, progress: Preparation) -> None:
        self.data.prepare(progress)
        self.validation = self._crops(self.data.validation, 1, self.config.data.validation_crops)

    def batches(self, progress: Progress, process: Process) -> Generator[Tensor, None, None]:
        sampler = CropSampler(self.config, progress, process.rank, process.world)
        loader: DataLoader[Tensor] = DataLoader(
            Crops(self.data.train, self.data.augment, seed=self.config.seed), batch_sampler=sampler,
            pin_memory=process.device.type == "cuda", generator=stream(self.config.seed, SAMPLES),
            **worker_options(self.config.data.workers),
        )
        return with_worker_errors(loader)

    def losses(self, net: torch.nn.Module, batch: Tensor, number: int, process: Process) -> Iterator[Tensor]:
        """The loss of the autoencoder, then that of the judge, whose gradients do not mix."""
        loss, image = self.config.loss, batch.to(process.device, non_blocking=True, memory_format=self.layout)
        autoencoder, judge = self._parts(net)
        factor = autoencoder.factor
        shape = (len(image), autoencoder.code_channels, image.shape[-2] // factor, image.shape[-1] // factor)
        generator = stream(self.config.seed, NOISE, number, process.rank, process.device)
        made, apart = net(image, torch.randn(shape, generator=generator, device=process.device))
        total = reconstruction_error(made, image, loss) + self.config.codes_weight * apart
        seen = number * self.config.optim.batch
        if judge is not None and seen >= loss.adversarial_after:
            total = total + loss.adversarial * judge.verdict(made)
        yield total
        if judge is not None:
            yield judge.loss(image, made)

    @staticmethod
    def _parts(net: torch.nn.Module) -> tuple[Autoencoder, Judge | None]:
        pair = cast("WithJudge", net)
        return pair.autoencoder, pair.judge

    @torch.no_grad()
    def scores(self, net: torch.nn.Module, process: Process) -> dict[str, float]:
        """The reconstruction error and PSNR in dB, by way of the codes' means or entries."""
        autoencoder, _ = self._parts(net)
        errors, squares = [], []
        for image in self.validation.to(process.device).split(AT_ONCE):
            made = autoencoder.decode(autoencoder.encode(image))
            errors += [reconstruction_error(a[None], b[None], self.config.loss) for a, b in zip(made, image, strict=True)]
            squares += [(made - image).square().mean((1, 2, 3))]
        peak, numbers = peak_of(self.data.train.recipe), 2 if self.data.channels == 2 else 1
        error = numbers * torch.cat(squares).mean() / peak**2
        return {SCORE: float(torch.stack(errors).mean()), "psnr": float(-10 * error.log10())}

    def export(self, folder: Path, result: RunResult) -> None:
        config, progress = self.config, result.progress
        net = cast("Autoencoder", drawn_network(self.network, config.seed))
        prefix = "autoencoder."
        weights = {key.removeprefix(prefix): value for key, value in result.weights.items() if key.startswith(prefix)}
        net.load_state_dict(weights)
        facts = asdict(config.card) | {
            "images": progress.seen,
            "ema_images": result.half_life,
            "hours": round(progress.seconds / 3600, 2),
            "hardware": result.process.hardware,
            "scores": {key: round(value, 5) for key, value in result.scores.items()},
        }
        space = LatentSpace(net, self.measured_scale(net), self.data.train.recipe)
        with new_folder(folder, replace=True, advice=ADVICE) as part:
            space.save(part, facts, half=config.weights == "fp16")
            write_run(part, config, progress)
            text = autoencoder_card(space, self.data, config, progress, result.scores)
            (part / "CARD.md").write_text(text, encoding="utf-8", errors="replace")

    def _crops(self, images: Images, stream_of: int, count: int) -> Tensor:
        """Crops (count, channels, side, side), always the same."""
        crops, data = Crops(images, self.data.augment, seed=self.config.seed + stream_of), self.config.data
        side = data.validation_side or max(side for side, _ in data.sides)
        return torch.stack([crops[k, side] for k in range(count)])

    @torch.no_grad()
    def measured_scale(self, net: Autoencoder) -> float:
        """1 over the std of the codes of training crops (Rombach et al., CVPR 2022, app. G)."""
        images = self._crops(self.data.train, 2, self.config.scale_crops)
        codes = torch.cat([net.eval().encode(some) for some in images.split(AT_ONCE)])
        std = float(codes.std())
        if not 0 < std < float("inf"):
            raise InputError(f"the codes have a std of {std:g}, so the autoencoder has learned nothing; train it longer, "
                             "with a lower optim.lr or loss.codes")
        return 1 / std


def complete(config: AutoencoderConfig, channels: int) -> dict[str, Any]:
    """The configuration of the network: what the config leaves out follows from its widths and the channels of images."""
    widths = config.network.get("block_out_channels", (32, 64, 64))
    levels = len(widths) if isinstance(widths, list | tuple) else 1
    return {
        "_class_name": CLASSES[config.autoencoder], "in_channels": channels, "out_channels": channels,
        "block_out_channels": widths, "norm_num_groups": 8, "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels, "mid_block_add_attention": False,
    } | config.network


def _check_crops(config: AutoencoderConfig, net: Autoencoder, data: ImageData) -> None:
    """Refuses channels and sides that do not fit the network."""
    given = {net.config["in_channels"], net.config["out_channels"]}
    if given != {data.channels}:
        raise InputError(f"the autoencoder is of {' and '.join(map(str, sorted(given)))} channels and the crops have "
                         f"{data.channels}; leave network.in_channels and network.out_channels out")
    sides = [side for side, _ in config.data.sides] + [config.data.validation_side or 8 * net.factor]
    if wrong := [side for side in sides if side % net.factor or side < 8]:
        raise InputError(f"sides of {', '.join(map(str, wrong))} pixels do not fit the autoencoder; data.sides and "
                         f"data.validation_side must be multiples of {net.factor}, of 8 at least")
