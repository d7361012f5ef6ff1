"""Training of supervised baselines, U-Net or variational network, on simulated or measured scans.

By one process: scans of a step may have different shapes, so that processes would not take as many passes.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..baselines import Supervised, ZeroFilled, save
from ..baselines.supervised import drawn_from
from ..baselines.weights import new_network
from ..datasets.base import Progress as Preparation
from ..metrics import psnr, ssim_map
from ..settings import plain
from .baseline_config import BaselineConfig, Loss
from .batches import WEIGHTS, stream, with_worker_errors, worker_options
from .checkpoint import Progress
from .runtime import Acceleration, Process
from .scans import Position, Scans, TrainingScan
from .task import SCORE, RunResult, TrainingTask


class BaselineTask(TrainingTask[list[TrainingScan]]):
    """A reconstruction network trained on pairs of undersampled scans and images.

    Args:
        config: of the run.
        train, validation: scans.
    """

    config: BaselineConfig
    result = "baseline"
    parallel = False

    def __init__(self, config: BaselineConfig, train: Scans, validation: Scans) -> None:
        self.config, self.train, self.validation = config, train, validation
        with drawn_from(stream(config.seed, WEIGHTS)):
            self.net = new_network(config.baseline, config.network, "network")
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), config.optim.lr, weight_decay=config.optim.weight_decay
        )
        self.half_lives = {"average": config.ema_images}
        self.acceleration = Acceleration()

    def counts(self) -> list[int]:
        return [len(self.train), len(self.validation)]

    def prepare(self, progress: Preparation) -> None:
        for scans in (self.train, self.validation):
            scans.prepare(progress)

    def batches(self, progress: Progress, process: Process) -> Generator[list[TrainingScan], None, None]:
        """The scans of each step."""
        optim = self.config.optim
        size = optim.batch * optim.accumulate
        steps: list[list[Position]] = [
            [(first + k, None) for k in range(size)]
            for first in range(progress.seen, self.config.images, size)
        ]
        # a batch is the list of its scans, which the types of DataLoader do not know
        loader: DataLoader[list[TrainingScan]] = DataLoader(
            self.train,  # type: ignore[arg-type]
            batch_sampler=steps,
            collate_fn=list,
            generator=stream(self.config.seed, WEIGHTS, 1),
            **worker_options(self.config.data.workers),
        )
        return with_worker_errors(loader)

    def losses(
        self, net: torch.nn.Module, batch: list[TrainingScan], number: int, process: Process
    ) -> Iterator[Tensor]:
        """One loss for each group of scans of one shape, at most `optim.batch` at once."""
        for scans in _same_shape_batches(batch, self.config.optim.batch):
            kspace, maps, mask, target = (
                torch.stack(part).to(process.device) for part in zip(*scans, strict=True)
            )
            yield (
                reconstruction_loss(net(kspace, maps, mask), target, self.config.loss)
                * len(scans)
                / len(batch)
            )

    def scores(self, net: torch.nn.Module, process: Process) -> dict[str, float]:
        """Mean loss and PSNR on fixed scans, over all and by setting, and the PSNR of zero-filled images."""
        rows: dict[str, list[tuple[float, float, float]]] = {}
        for position in validation_positions(self.config):
            scan = self.validation[position]
            rows.setdefault(scan.setting, []).append(self._score(net, scan, process.device))
        every = [row for values in rows.values() for row in values]
        scores = dict(
            zip((SCORE, "psnr", "zero_filled_psnr"), map(fmean, zip(*every, strict=True)), strict=True)
        )
        for setting, values in rows.items():
            scores |= {
                f"psnr ({setting})": fmean(row[1] for row in values),
                f"zero_filled_psnr ({setting})": fmean(row[2] for row in values),
            }
        return scores

    @torch.no_grad()
    def _score(self, net: torch.nn.Module, scan: TrainingScan, device: torch.device) -> tuple[float, float, float]:
        """Loss, PSNR and the zero-filled image's PSNR of a scan."""
        kspace, maps, mask, target = (part[None].to(device) for part in scan.tensors)
        image, zero_filled = net(kspace, maps, mask), ZeroFilled().reconstruct(kspace, maps, mask[0, 0])
        peak = float(target.abs().max())
        own, reference = (
            psnr(result.abs(), target.abs(), data_range=peak) for result in (image, zero_filled)
        )
        return float(reconstruction_loss(image, target, self.config.loss)), own, reference

    def write(self, folder: Path, result: RunResult) -> str:
        config = self.config
        net = new_network(config.baseline, config.network, "network")
        net.load_state_dict(result.weights)
        facts = result.facts(config.card) | {
            "scan": plain(config.scan),
            "loss": asdict(config.loss),
            "scores": {key: round(value, 4) for key, value in result.scores.items() if "psnr" in key},
        }
        save(folder, Supervised(net, facts))
        return ""

    def parameter_names(self) -> dict[str, str]:
        return {name: str(number) for number, (name, _) in enumerate(self.net.named_parameters())}


def reconstruction_loss(image: Tensor, target: Tensor, weights: Loss) -> Tensor:
    """l1 * |image - target| + ssim * (1 - SSIM of the magnitudes), the mean over a batch.

    Args:
        image, target: (batch, 1, height, width) complex64; the data range of the SSIM is each target's
            maximum.
    """
    loss = image.new_zeros((), dtype=torch.float32)
    if weights.l1:
        loss = loss + weights.l1 * (image - target).abs().mean()
    if weights.ssim:
        peak = target.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
        loss = loss + weights.ssim * (1 - ssim_map(image.abs(), target.abs(), data_range=peak).mean())
    return loss


def validation_positions(config: BaselineConfig) -> list[Position]:
    """Which scans are scored: as many of each kind and acceleration, in the order of the first epoch."""
    kinds, accels, count = len(config.scan.kinds), len(config.scan.accels), config.data.validation_scans
    return [
        (number, (kind, accel)) for kind in range(kinds) for accel in range(accels) for number in range(count)
    ]


def _same_shape_batches(scans: Sequence[TrainingScan], most: int) -> Iterator[list[tuple[Tensor, ...]]]:
    """The tensors of scans of one shape, at most so many at once."""
    shapes: dict[torch.Size, list[tuple[Tensor, ...]]] = {}
    for scan in scans:
        shapes.setdefault(scan.kspace.shape, []).append(scan.tensors)
    for batch in shapes.values():
        for start in range(0, len(batch), most):
            yield batch[start : start + most]
