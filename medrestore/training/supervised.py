"""Trains a supervised baseline, U-Net or variational network, on simulated or measured scans.

One device. Every step is a pure function of the seed and of how far the run has come, so that a run which was stopped or killed
goes on from its last checkpoint and ends, on the same device, with the weights of an unbroken one.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from ..baselines import Supervised, ZeroFilled, save
from ..baselines.supervised import drawn_from
from ..baselines.weights import network
from ..datasets.base import Images
from ..errors import InputError
from ..metrics import psnr
from ..settings import build, flatten, plain
from . import checkpoint as checkpoints
from .batches import WEIGHTS, delivered, stream
from .checkpoint import Checkpoint, Progress, written_aside
from .config import Card, Optim
from .ema import Average
from .log import write_log
from .runtime import claimed, hardware, ignore_signals, signals
from .scans import Acquisition, Case, Material, Position, Scans, gather
from .trainer import Stopped, Watch

SCORE = "validation_loss"
WINDOW = 7  # pixels, of the structural similarity
FREE = ("out", "images", "optim.decay_images", "checkpoint_images", "keep", "card", "data.workers")  # may change on the way
POSITIVE = ("images", "ema_images", "checkpoint_images", "keep", "optim.lr", "optim.batch", "optim.accumulate", "optim.clip",
            "data.validation_scans")
NOT_NEGATIVE = ("seed", "optim.warmup_images", "optim.decay_images", "optim.weight_decay", "data.workers", "loss.l1", "loss.ssim")


@dataclass(frozen=True)
class Loss:
    """What is made small: l1 * |x - target| + ssim * (1 - SSIM(|x|, |target|)), the image being about 1.

    Args:
        l1: weight of the mean magnitude of the complex error.
        ssim: weight of the structural dissimilarity of the magnitudes, 7 x 7 pixels.
    """

    l1: float = 1.0
    ssim: float = 1.0


@dataclass(frozen=True)
class Config:
    """A training run of a baseline.

    Args:
        baseline: `unet` or `varnet`.
        out: folder of the run; the baseline ends up in `out/baseline`.
        seed: of the weights and the scans.
        network: arguments of `baselines.UNet` or `baselines.VarNet`.
        scan: how scans are made.
        images: scans to train on, in all.
        ema_images: half-life of the averaged weights.
        checkpoint_images: between checkpoints.
        keep: how many of the last checkpoints stay, besides the best.
    """

    baseline: Literal["unet", "varnet"]
    out: str = "runs/baseline"
    seed: int = 0
    network: dict[str, Any] = field(default_factory=dict)
    data: Material = field(default_factory=Material)
    scan: Acquisition = field(default_factory=Acquisition)
    loss: Loss = field(default_factory=Loss)
    optim: Optim = field(default_factory=lambda: Optim(lr=1e-3, batch=4, warmup_images=200, decay_images=2000))
    images: int = 20_000
    ema_images: int = 1_000
    checkpoint_images: int = 2_000
    keep: int = 2
    card: Card = field(default_factory=lambda: Card(name="unnamed"))


def read(given: Mapping[str, Any], source: str) -> Config:
    """The run that a mapping describes; `source` is named in complaints.

    Raises:
        InputError: an unknown key, a value of another type, or one that makes no sense.
    """
    config = build(Config, given, source)
    flat = flatten(asdict(config))
    for key in (*POSITIVE, *NOT_NEGATIVE):
        if flat[key] < 0 or (key in POSITIVE and flat[key] == 0):
            raise InputError(f"{source}: {key} must be {'positive' if key in POSITIVE else 'at least 0'}, got {flat[key]}")
    if min(config.data.sides, default=1) < 1:
        raise InputError(f"{source}: data.sides must be positive, got {list(config.data.sides)}")
    if config.loss.l1 + config.loss.ssim == 0:
        raise InputError(f"{source}: loss.l1 and loss.ssim are both 0, so nothing would be learned; raise one")
    return config


def fit(config: Config, *, images: Images | None = None, validation: Images | None = None, watch: Watch | None = None,
        resume: bool = True) -> Path:
    """Trains a baseline, or goes on training it, and returns its folder, which `baselines.load` takes.

    Args:
        config: the run.
        images, validation: instead of `config.data.train` and `.validation`.
        watch: told how it goes.
        resume: whether to go on from the checkpoints in `config.out`; else a folder that holds some is refused.

    Raises:
        InputError: a config, data or folder that cannot work, each before any heavy work; a full disk; divergence.
        Stopped: SIGTERM or SIGUSR1 came; a checkpoint is written, and the same call goes on from there.
    """
    train, held_out = gather(config.data, config.scan, config.seed, images=images, validation=validation)
    run = Run(config, train, held_out, watch or Watch())
    with signals() as asked, claimed(run.out, enabled=True):
        run.resume(allowed=resume)
        run.learn(asked)
        return run.finish()


def export_last(config: Config, *, images: Images | None = None, validation: Images | None = None) -> Path:
    """The baseline of the last checkpoint, whether the run has ended or not.

    Raises:
        InputError: no checkpoint in `config.out` is whole.
    """
    train, held_out = gather(config.data, config.scan, config.seed, images=images, validation=validation)
    run = Run(config, train, held_out, Watch())
    run.resume()
    if run.progress.step == 0:
        raise InputError(f"{config.out} holds no checkpoints; train first")
    return run.finish()


class Run:
    """A training run.

    Attributes:
        net: the network.
        average: its averaged weights, which are validated and kept.
        progress: how far it is.
    """

    def __init__(self, config: Config, train: Scans, held_out: Scans, watch: Watch) -> None:
        self.config, self.scans, self.held_out, self.watch = config, train, held_out, watch
        self.out, self.progress = Path(config.out), Progress()
        self.device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
        with drawn_from(stream(config.seed, WEIGHTS)):
            net = network(config.baseline, config.network, "network")
        self.net = net.to(self.device)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), config.optim.lr, weight_decay=config.optim.weight_decay)
        self.average = Average(self.net, config.ema_images)

    def learn(self, asked: threading.Event) -> None:
        """All steps that are left; a row of the log and a checkpoint now and then, and at the end."""
        for scans in (self.scans, self.held_out):
            scans.prepare(self.watch.preparing)
        self.watch.found(self._facts())
        config, losses, started = self.config, [], time.monotonic()
        for cases in self._steps():
            losses.append(self._step(cases))
            before, seen = self.progress.seen, self.progress.seen + len(cases)
            self.progress = replace(self.progress, step=self.progress.step + 1, seen=seen, position=seen)
            self.average.follow(self.net, seen, len(cases))
            self.watch.seen(seen)
            stop = asked.is_set()
            if stop or seen >= config.images or seen // config.checkpoint_images != before // config.checkpoint_images:
                self._checkpoint(fmean(losses), time.monotonic() - started)
                losses, started = [], time.monotonic()
            if stop and seen < config.images:
                raise Stopped(f"stopped at {seen:,} of {config.images:,} images and saved; run again to continue")

    def _steps(self) -> Iterator[list[Case]]:
        """The scans of every step that is left."""
        size, workers = self.config.optim.batch * self.config.optim.accumulate, self.config.data.workers
        plan = [[(position + k, None) for k in range(size)] for position in range(self.progress.seen, self.config.images, size)]
        ahead: dict[str, Any] = {"prefetch_factor": 4, "worker_init_fn": ignore_signals} if workers else {}
        return delivered(DataLoader(self.scans, batch_sampler=plan, collate_fn=list, num_workers=workers,
                                    generator=stream(self.config.seed, WEIGHTS, 1), **ahead))

    def _step(self, cases: list[Case]) -> float:
        """One step of the optimiser; the mean loss of its scans."""
        optim, seen = self.config.optim, self.progress.seen
        up = min(1.0, (seen + len(cases)) / max(optim.warmup_images, 1))
        for group in self.optimiser.param_groups:
            group["lr"] = optim.lr * min(up, (self.config.images - seen) / max(optim.decay_images, 1))
        self.optimiser.zero_grad()
        total = 0.0
        for batch in _alike(cases, optim.batch):
            kspace, maps, mask, target = (torch.stack(part).to(self.device) for part in zip(*batch, strict=True))
            loss = self._loss(self.net(kspace, maps, mask), target) * len(batch) / len(cases)
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), optim.clip)
        self.optimiser.step()
        return total

    def _loss(self, image: Tensor, target: Tensor) -> Tensor:
        weights = self.config.loss
        loss = image.new_zeros((), dtype=torch.float32)
        if weights.l1:
            loss = loss + weights.l1 * (image - target).abs().mean()
        if weights.ssim:
            loss = loss + weights.ssim * (1 - ssim(image.abs(), target.abs()))
        return loss

    @torch.no_grad()
    def _scores(self) -> dict[str, float]:
        """Loss and PSNR of the averaged weights on the same scans each time, in all and by setting, beside zero-filled."""
        found: dict[str, list[tuple[float, float, float]]] = {}
        self.net.eval()
        with self.average.worn_by(self.net):
            for at in validation_plan(self.config):
                case = self.held_out[at]
                kspace, maps, mask, target = (part[None].to(self.device) for part in _tensors(case))
                image, peak = self.net(kspace, maps, mask), float(target.abs().max())
                plain_image = ZeroFilled().reconstruct(kspace, maps, mask[0, 0])
                own, zero_filled = (psnr(one.abs(), target.abs(), data_range=peak) for one in (image, plain_image))
                found.setdefault(case.setting, []).append((float(self._loss(image, target)), own, zero_filled))
        self.net.train()
        rows = [row for rows in found.values() for row in rows]
        scores = dict(zip((SCORE, "psnr", "zero_filled_psnr"), map(fmean, zip(*rows, strict=True)), strict=True))
        for setting, rows in found.items():
            scores |= {f"psnr ({setting})": fmean(row[1] for row in rows),
                       f"zero_filled_psnr ({setting})": fmean(row[2] for row in rows)}
        return scores

    def _checkpoint(self, loss: float, seconds: float) -> None:
        """A row of the log and a checkpoint; the loss first, so that weights which have diverged replace nothing."""
        if not loss < float("inf"):
            raise InputError(f"the loss is no number any more at {self.progress.seen:,} images; what {self.out / 'checkpoints'} "
                             "holds is from before: take a lower optim.lr in another out")
        images = self.progress.seen - (self.progress.log[-1]["images"] if self.progress.log else 0)
        row = {"images": float(self.progress.seen), "loss": loss, "images_per_second": images / seconds} | self._scores()
        self.progress = replace(self.progress, seconds=self.progress.seconds + seconds, log=(*self.progress.log, row))
        checkpoints.write(self.out / "checkpoints", self._state())
        checkpoints.prune(self.out / "checkpoints", self.config.keep, SCORE)
        write_log(self.out, "log", self.progress.log)
        self.watch.checkpoint(row)

    def _state(self) -> Checkpoint:
        """All there is to know of the run at this moment."""
        state = {str(number): moments for number, moments in self.optimiser.state_dict()["state"].items()}
        tensors = {"network": _copied(self.net), "optimiser": checkpoints.packed(state)}
        with self.average.worn_by(self.net):
            tensors["average"] = _copied(self.net)
        return Checkpoint(self.progress, plain(self.config), tensors, {"images": self._counts()})

    def resume(self, *, allowed: bool = True) -> None:
        """Goes to the last whole checkpoint, if there is one."""
        folder = self.out / "checkpoints"
        found, broken = checkpoints.newest(folder)
        for sentence in broken:
            self.watch.warn(f"{sentence}; the one before it is used")
        if found is None:
            return
        if not allowed:
            raise InputError(f"{self.out} holds checkpoints already; leave out --resume never to go on, or give another out")
        changed = differences(found.config, self.config, str(folder))
        if found.facts["images"] != self._counts():
            changed.append(f"the data were {found.facts['images']} images and are {self._counts()}")
        if changed:
            raise InputError(f"{self.out} holds checkpoints of another run ({'; '.join(changed[:3])}); give another out, "
                             "or the config of that run to go on with it")
        self.net.load_state_dict(found.tensors["average"])
        self.average.take(self.net)
        self.net.load_state_dict(found.tensors["network"])
        state = {int(number): moments for number, moments in checkpoints.unpacked(found.tensors["optimiser"]).items()}
        self.optimiser.load_state_dict({"state": state, "param_groups": self.optimiser.state_dict()["param_groups"]})
        self.progress = found.progress

    def finish(self) -> Path:
        """The averaged weights as a baseline, with config and log, in the place of an older one."""
        import yaml

        row = self.progress.log[-1]
        facts = asdict(self.config.card) | {
            "images": self.progress.seen, "ema_images": self.config.ema_images, "hours": round(self.progress.seconds / 3600, 2),
            "hardware": hardware(self.device), "scan": plain(self.config.scan), "loss": asdict(self.config.loss),
            "scores": {key: round(value, 4) for key, value in row.items() if "psnr" in key},
        }
        folder = self.out / "baseline"
        with self.average.worn_by(self.net), written_aside(folder) as part:
            save(part, Supervised(self.net, facts))
            (part / "config.yaml").write_text(yaml.safe_dump(plain(self.config), sort_keys=False), encoding="utf-8")
            write_log(part, "log", self.progress.log)
        return folder

    def _counts(self) -> list[int]:
        return [len(self.scans), len(self.held_out)]

    def _facts(self) -> dict[str, Any]:
        train, validation = self._counts()
        return {"training images": train, "validation images": validation, "device": hardware(self.device), "out": str(self.out),
                "parameters": sum(weight.numel() for weight in self.net.parameters()), "seen": self.progress.seen}


def ssim(image: Tensor, target: Tensor) -> Tensor:
    """Mean structural similarity of magnitudes (batch, 1, height, width), differentiable: Wang et al., TIP 13, 2004.

    As `metrics.ssim`: 7 x 7 uniform window, sample covariance, K1 = 0.01, K2 = 0.03; the data range is each target's maximum.
    """
    if min(image.shape[-2:]) < WINDOW:
        raise InputError(f"loss.ssim needs images of at least {WINDOW} x {WINDOW} pixels; set it to 0")
    peak = target.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    c1, c2, share = (0.01 * peak) ** 2, (0.03 * peak) ** 2, WINDOW**2 / (WINDOW**2 - 1)
    a, b, aa, bb, ab = (F.avg_pool2d(x, WINDOW, 1) for x in (image, target, image * image, target * target, image * target))
    above = (2 * a * b + c1) * (2 * share * (ab - a * b) + c2)
    below = (a * a + b * b + c1) * (share * (aa - a * a + bb - b * b) + c2)
    return (above / below).mean()


def validation_plan(config: Config) -> list[Position]:
    """Which scans are scored: as many of each kind and acceleration, one slice after another in the order of the first epoch."""
    kinds, accels, count = len(config.scan.kinds), len(config.scan.accels), config.data.validation_scans
    return [(number, (kind, accel)) for kind in range(kinds) for accel in range(accels) for number in range(count)]


def differences(before: Mapping[str, Any], now: Config, source: str) -> list[str]:
    """What a run may not change on its way and did, as `key was a and is b`; `before` is the plain config it began with."""
    old, new = flatten(plain(read(before, source))), flatten(plain(now))
    keys = [key for key in {**old, **new} if not any(f"{key}.".startswith(f"{free}.") for free in FREE)]
    return [f"{key} was {old.get(key)!r} and is {new.get(key)!r}" for key in keys if old.get(key) != new.get(key)]


def _alike(cases: Sequence[Case], most: int) -> Iterator[list[tuple[Tensor, ...]]]:
    """The tensors of scans of one shape together, at most so many."""
    shapes: dict[torch.Size, list[tuple[Tensor, ...]]] = {}
    for case in cases:
        shapes.setdefault(case.kspace.shape, []).append(_tensors(case))
    for batch in shapes.values():
        for start in range(0, len(batch), most):
            yield batch[start : start + most]


def _tensors(case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return case.kspace, case.maps, case.mask, case.target


def _copied(net: torch.nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone().contiguous() for key, value in net.state_dict().items()}
