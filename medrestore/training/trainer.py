"""Trains a small denoising prior on one device; read it from top to bottom.

The loss is the denoising error at log-normal noise levels (Karras et al., NeurIPS 2022, table 1 and eq. 8). The
learning rate warms up, stays, and falls linearly to zero over the last `decay_images`, so a run can be prolonged
from any checkpoint by asking for more images.
"""

import csv
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..priors.network import Parametrisation


@dataclass(frozen=True)
class Training:
    """How long, how fast, on what mixture of crops.

    Args:
        images: crops to train on in all, counted at the smallest side (a crop of twice the side counts as four).
        sides: (side in pixels, share of the steps) of the crops; every batch holds about the same number of pixels.
        batch: crops in a batch of the smallest side.
        lr, warmup_images, decay_images: learning rate, and the images over which it rises and falls.
        log_sigma: mean and std of log sigma in the loss.
        ema_images: images over which the averaged weights forget half.
        checkpoint_images: images between checkpoints.
        seed: of the crops, the noise and the initial weights.
    """

    images: int = 200_000
    sides: tuple[tuple[int, float], ...] = ((64, 0.6), (96, 0.2), (128, 0.2))
    batch: int = 32
    lr: float = 1e-3
    warmup_images: int = 5_000
    decay_images: int = 60_000
    log_sigma: tuple[float, float] = (-1.2, 1.5)
    ema_images: int = 6_000
    checkpoint_images: int = 10_000
    seed: int = 0


def denoising_loss(
    net: torch.nn.Module, target: Parametrisation, x0: Tensor, sigma: Tensor, noise: Tensor, *, sigma_data: float
) -> Tensor:
    """Mean of lambda(sigma) |D(x0 + sigma n) - x0|^2, lambda making every level weigh the same at the start."""
    s = sigma.reshape(-1, 1, 1, 1)
    weight = (s**2 + sigma_data**2) / (s * sigma_data) ** 2
    estimate = target.estimate(lambda x, t: net(x, t).sample.float(), x0 + s * noise, sigma)
    return (weight * (estimate - x0) ** 2).mean()


def train(net: torch.nn.Module, target: Parametrisation, crops: Callable[[int, int], Tensor], validation: Tensor,
          settings: Training, folder: Path, *, sigma_data: float, generator: torch.Generator) -> Iterator[dict[str, float]]:
    """Trains `net` in place and yields a log row a checkpoint; `folder/state.pt` is picked up where it was left.

    Args:
        crops: `(batch, side) -> (batch, channels, side, side)`.
        validation: clean images (n, channels, height, width), scored with fixed noise by noise level.
        generator: of the noise and of `crops`; its state is saved and restored with the weights.

    Yields:
        images, loss, images_per_second and the validation PSNR at each of `LEVELS`; also written to `folder/log.csv`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    net.to(memory_format=torch.channels_last)
    smallest = min(side for side, _ in settings.sides)
    shares = torch.tensor([share for _, share in settings.sides])
    steps_per_ema = settings.ema_images / settings.batch
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.5 ** (1 / steps_per_ema)))
    optimiser = torch.optim.AdamW(net.parameters(), settings.lr, weight_decay=0.0, betas=(0.9, 0.99))
    seen, state_file = 0, folder / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        net.load_state_dict(state["net"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["generator"])
        seen = state["seen"]
    total, count, since, started = 0.0, 0, seen, time.monotonic()
    while seen < settings.images:
        side = settings.sides[int(torch.multinomial(shares, 1, generator=generator))][0]
        x0 = crops(max(1, settings.batch * smallest**2 // side**2), side).contiguous(memory_format=torch.channels_last)
        mean, std = settings.log_sigma
        sigma = (mean + std * torch.randn(len(x0), generator=generator)).exp()
        noise = torch.randn(x0.shape, generator=generator)
        with torch.autocast(x0.device.type, torch.bfloat16):
            loss = denoising_loss(net, target, x0, sigma, noise, sigma_data=sigma_data)
        slope = min(1.0, (seen + settings.batch) / settings.warmup_images, (settings.images - seen) / settings.decay_images)
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * slope
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        averaged.update_parameters(net)
        seen, total, count = seen + settings.batch, total + float(loss.detach()), count + 1
        due = seen // settings.checkpoint_images != (seen - settings.batch) // settings.checkpoint_images
        if due or seen >= settings.images:
            rate = (seen - since) / (time.monotonic() - started)
            row = {"images": float(seen), "loss": total / count, "images_per_second": rate}
            row |= validate(averaged.module, target, validation, seed=settings.seed)
            state = {"net": net.state_dict(), "averaged": averaged.state_dict(), "optimiser": optimiser.state_dict(),
                     "generator": generator.get_state(), "seen": seen, "settings": asdict(settings)}
            torch.save(state, state_file.with_suffix(".part"))
            os.replace(state_file.with_suffix(".part"), state_file)
            _log(folder / "log.csv", row)
            yield row
            total, count, since, started = 0.0, 0, seen, time.monotonic()


def averaged_weights(state: Path) -> tuple[dict[str, Tensor], int]:
    """The averaged weights of a checkpoint, by the network's own names, and how many images it has seen."""
    loaded = torch.load(state, weights_only=True)
    prefix = "module."
    return {key[len(prefix):]: value for key, value in loaded["averaged"].items() if key.startswith(prefix)}, loaded["seen"]


LEVELS = (0.02, 0.1, 0.5, 2.0)


@torch.no_grad()
def validate(net: torch.nn.Module, target: Parametrisation, images: Tensor, *, seed: int) -> dict[str, float]:
    """Denoising PSNR, dB, of unit-peak images at each of `LEVELS` (std of the noise), with the same noise each time."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    scores = {}
    for level in LEVELS:
        with torch.autocast(images.device.type, torch.bfloat16):
            x0 = target.estimate(lambda x, t: net(x, t).sample.float(), images + level * noise, torch.full((len(images),), level))
        scores[f"psnr_at_{level}"] = float(-10 * (x0 - images).square().sum(1).mean().log10())  # of complex magnitude
    return scores


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow({key: f"{value:.6g}" for key, value in row.items()})
