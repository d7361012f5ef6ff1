"""Training of autoencoders: images by way of their codes, and the scale that gives the codes a std of 1.

By one process: the judge of the adversarial loss learns in the same step, from the same reconstructions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from ..datasets.base import Batch, Crops
from ..errors import InputError
from ..priors.autoencoder import Autoencoder
from ..priors.spaces import LatentSpace, peak_of
from .batches import NOISE, WEIGHTS, stream
from .card import autoencoder_card
from .crop_task import CropTask, adamw, laid_out, layout_of, no_crops
from .latent_config import AutoencoderConfig
from .reconstruction import Judge, reconstruction_error
from .runtime import Acceleration, Process, continue_default_stream
from .start import ImageData, check_sides, drawn_network
from .task import SCORE, RunResult

CLASSES = {"kl": "AutoencoderKL", "vq": "VQModel"}
AT_ONCE = 8  # crops in one call where nothing is learned


class WithJudge(torch.nn.Module):
    """An autoencoder and, where the loss has one, its judge."""

    def __init__(self, autoencoder: Autoencoder, judge: Judge | None) -> None:
        super().__init__()
        self.autoencoder, self.judge = autoencoder, judge

    def forward(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        return self.autoencoder.reconstruct(image, noise)


class AutoencoderTask(CropTask):
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
        given = {autoencoder.config["in_channels"], autoencoder.config["out_channels"]}
        if given != {data.channels}:
            raise InputError(f"the autoencoder is of {' and '.join(map(str, sorted(given)))} channels and the crops have "
                             f"{data.channels}; leave network.in_channels and network.out_channels out")
        check_sides(config, autoencoder.factor, least=8, name="autoencoder")
        judge = None
        if config.loss.adversarial:
            with torch.random.fork_rng(devices=[]):
                continue_default_stream(stream(config.seed, WEIGHTS, 1))
                judge = Judge(data.channels, config.loss.judge_width)
        self.layout = layout_of(config.channels_last)
        self.net = laid_out(WithJudge(autoencoder, judge), self.layout)
        self.optimiser = adamw(self.net, config.optim)
        self.half_lives = {"average": config.ema_images}
        self.passes = config.optim.accumulate
        self.acceleration = Acceleration(accumulate=config.optim.accumulate, tensorboard=Path(config.out))
        self.validation = no_crops()

    def losses(self, net: torch.nn.Module, batch: Batch, number: int, process: Process) -> Iterator[Tensor]:
        """The loss of the autoencoder, then that of the judge, whose gradients do not mix."""
        loss, image = self.config.loss, batch.to(process.device, self.layout).images
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
        for image in self.validation.images.to(process.device).split(AT_ONCE):
            made = autoencoder.decode(autoencoder.encode(image))
            errors += [reconstruction_error(a[None], b[None], self.config.loss) for a, b in zip(made, image, strict=True)]
            squares += [(made - image).square().mean((1, 2, 3))]
        peak, numbers = peak_of(self.data.train.recipe), 2 if self.data.channels == 2 else 1
        error = numbers * torch.cat(squares).mean() / peak**2
        return {SCORE: float(torch.stack(errors).mean()), "psnr": float(-10 * error.log10())}

    def write(self, folder: Path, result: RunResult) -> str:
        config = self.config
        net = cast("Autoencoder", drawn_network(self.network, config.seed))
        prefix = "autoencoder."
        weights = {key.removeprefix(prefix): value for key, value in result.weights.items() if key.startswith(prefix)}
        net.load_state_dict(weights)
        facts = result.facts(config.card) | {"scores": {key: round(value, 5) for key, value in result.scores.items()}}
        space = LatentSpace(net, self.measured_scale(net), self.data.train.recipe)
        space.save(folder, facts, half=config.weights == "fp16")
        return autoencoder_card(space, self.data, config, result.progress, result.scores)

    @torch.no_grad()
    def measured_scale(self, net: Autoencoder) -> float:
        """1 over the std of the codes of training crops (Rombach et al., CVPR 2022, app. G)."""
        crops, side = Crops(self.data.train, self.data.augment, seed=self.config.seed + 2), self.config.data.scored_side
        images = torch.stack([crops[k, side] for k in range(self.config.scale_crops)])
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
