"""Trains a prior; read it from top to bottom.

One device or many, on one machine or several: the same config under `torchrun` or `accelerate launch`. Every pass is a pure
function of the seed and of how far the run has come, so that a run which was killed goes on from its last checkpoint and
ends, on the same devices, with the weights of an unbroken one.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributed.checkpoint import state_dict as gathered

from ..datasets.base import Augment, Crops, Images
from ..errors import InputError
from . import checkpoint as checkpoints
from . import evaluate
from .batches import NOISE, Plan, delivered, loader, stream
from .checkpoint import Checkpoint, Progress
from .config import Config, differences, plain
from .ema import Average
from .export import export
from .log import write_log
from .loss import denoising_loss, noise_levels, weighting
from .runtime import accelerated, claimed, hardware, lend, signals
from .start import Material, begin, gather

if TYPE_CHECKING:
    from accelerate import Accelerator

ON_MAIN = gathered.StateDictOptions(full_state_dict=True, cpu_offload=True)  # the other processes get nothing
EVERYWHERE = gathered.StateDictOptions(full_state_dict=True)


class Stopped(Exception):
    """The run was asked to stop, and has saved; the message says how far it is."""


class Watch:
    """Hears how a run goes; every method may be replaced."""

    def preparing(self, label: str, total: int) -> Callable[[], None]:
        """Data are about to be prepared, in `total` parts; what is returned is called after each."""
        return lambda: None

    def found(self, facts: Mapping[str, Any]) -> None:
        """What the run starts with: data, network, device, the images already seen."""

    def warn(self, sentence: str) -> None:
        """Something to know that does not stop the run."""

    def seen(self, images: int) -> None:
        """A step is done."""

    def checkpoint(self, row: Mapping[str, float]) -> None:
        """A checkpoint is written; `row` is its line of the log."""


def train(config: Config, *, images: Images | None = None, validation: Images | None = None, augment: Augment | None = None,
          watch: Watch | None = None, resume: bool = True) -> Path:
    """Trains a prior, or goes on training it, and returns its folder.

    Args:
        config: the run; see `Config`.
        images, validation, augment: instead of `config.data.train`, `.validation` and `.augment`.
        watch: told how it goes; on the main process only.
        resume: whether to go on from the checkpoints in `config.out`; else a folder that holds some is refused.

    Raises:
        InputError: a config, data or folder that cannot work, each before any heavy work; a full disk; divergence.
        Stopped: SIGTERM or SIGUSR1 came; a checkpoint is written, and the same call goes on from there.
    """
    material = gather(config, images, validation, augment)
    with accelerated(config) as accelerator, signals() as asked:
        run = Run(config, material, accelerator, watch if watch and accelerator.is_main_process else Watch())
        with claimed(run.out, enabled=accelerator.is_main_process):
            run.resume(allowed=resume)
            run.learn(asked)
            return run.finish()


def export_last(config: Config, *, images: Images | None = None, validation: Images | None = None,
                augment: Augment | None = None) -> Path:
    """The prior of the last checkpoint, whether the run has ended or not; arguments as for `train`.

    Raises:
        InputError: no checkpoint in `config.out` is whole.
    """
    material = gather(config, images, validation, augment)
    with accelerated(config) as accelerator:
        run = Run(config, material, accelerator, Watch())
        run.resume()
        if run.progress.step == 0:
            raise InputError(f"{config.out} holds no checkpoints; train first")
        return run.finish()


class Run:
    """A training run, as one of its processes sees it.

    Attributes:
        net: the network, wrapped for its devices.
        averages: its weights, averaged over several half-lives.
        progress: how far it is.
    """

    def __init__(self, config: Config, material: Material, accelerator: "Accelerator", watch: Watch) -> None:
        self.config, self.material, self.accelerator, self.watch = config, material, accelerator, watch
        self.out, self.progress = Path(config.out), Progress()
        self.start = begin(config, material)
        self.target, self.parent = self.start.target, self.start.parent
        self.draw, self.weight = noise_levels(config.objective, self.target), weighting(config.objective, self.target)
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format
        net = self.start.net.to(memory_format=self.layout)
        if config.gradient_checkpointing:
            if not hasattr(net, "enable_gradient_checkpointing"):
                raise InputError(f"gradient_checkpointing: {type(net).__name__} cannot do it; take false, a smaller batch")
            net.enable_gradient_checkpointing()
        self.parameters = sum(weight.numel() for weight in net.parameters())
        self.drops = any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in net.modules())
        optimiser = torch.optim.AdamW(net.parameters(), config.optim.lr, (0.9, 0.99), weight_decay=config.optim.weight_decay)
        self.net, self.optimiser = accelerator.prepare(net, optimiser)
        self.averages = [Average(self.net, half_life) for half_life in config.ema_images]
        with accelerator.main_process_first():  # what is slow is done once, and then read by all
            material.prepare(watch.preparing)
        self.validation = material.validation_crops(config).to(accelerator.device)

    def learn(self, asked: threading.Event) -> None:
        """Trains from where the run is to its last image, or until it is `asked` to stop."""
        config, accelerator, device = self.config, self.accelerator, self.accelerator.device
        plan = Plan(config, self.progress, accelerator.process_index, accelerator.num_processes)
        crops = Crops(self.material.train, self.material.augment, seed=config.seed)
        accelerator.init_trackers("tensorboard")
        self.watch.found(self._facts())
        self.net.train()
        losses, passes, position, since = torch.zeros((), device=device), 0, self.progress.position, time.monotonic()
        passed = self.progress.step * config.optim.accumulate
        for number, x0 in enumerate(delivered(loader(crops, plan, pin=device.type == "cuda")), passed):
            x0 = x0.to(device, non_blocking=True, memory_format=self.layout)
            chance = stream(config.seed, NOISE, number, accelerator.process_index, device)
            sigma = self.draw(len(x0), chance)
            noise = torch.randn(x0.shape, generator=chance, device=device)
            if self.drops:
                lend(chance)
            with accelerator.accumulate(self.net):
                loss = denoising_loss(self._network, self.target, x0, sigma, noise, self.weight)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(self.net.parameters(), config.optim.clip)
                    self._set_rate(plan.images_per_step)
                self.optimiser.step()
                self.optimiser.zero_grad()
            losses, passes = losses + loss.detach(), passes + 1
            position += len(x0) * accelerator.num_processes
            if not accelerator.sync_gradients:  # more passes make this step
                continue
            self._advance(plan.images_per_step, position)
            stopping, ended = self._agreed(asked), self.progress.seen >= config.images
            if stopping or ended or self._due(config.checkpoint_images, plan.images_per_step):
                self._checkpoint(losses / passes, time.monotonic() - since)
                losses, passes, since = torch.zeros_like(losses), 0, time.monotonic()
            if stopping and not ended:
                raise Stopped(f"stopped at {self.progress.seen:,} of {config.images:,} images and saved; run again to continue")

    def _network(self, x: Tensor, t: Tensor) -> Tensor:
        out = self.net(x, t)
        return getattr(out, "sample", out).float()

    def _set_rate(self, images: int) -> None:
        """The learning rate of the step that sees the next `images`: up, level, and down to zero at the end."""
        optim, seen = self.config.optim, self.progress.seen
        slope = min(1.0, (seen + images) / max(optim.warmup_images, 1), (self.config.images - seen) / max(optim.decay_images, 1))
        for group in self.optimiser.param_groups:
            group["lr"] = optim.lr * slope

    def _advance(self, images: int, position: int) -> None:
        """A step of so many images is done."""
        before = self.progress
        self.progress = replace(before, step=before.step + 1, seen=before.seen + images, position=position)
        for average in self.averages:
            average.follow(self.net, self.progress.seen, images)
        for epoch in self.config.snapshots:
            if before.position < epoch * len(self.material.train) <= position:
                self._snapshot(epoch)
        if self._due(self.config.sample_images, images):
            self._pictures()
        self.watch.seen(self.progress.seen)

    def _due(self, period: int, images: int) -> bool:
        """Whether a multiple of `period` was passed by the last `images`; 0: never."""
        return period > 0 and self.progress.seen // period != (self.progress.seen - images) // period

    def _agreed(self, asked: threading.Event) -> bool:
        """Whether any process was asked to stop: all of them leave after the same step."""
        if self.accelerator.num_processes == 1:
            return asked.is_set()
        if self.progress.step % 10:  # the question is a round trip between the processes
            return False
        flag = torch.tensor(float(asked.is_set()), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def _scores(self) -> dict[str, float]:
        """How well each average denoises the validation crops; all but the first have their half-life in the name."""
        found: dict[str, float] = {}
        self.net.eval()
        for average in self.averages:
            with average.worn_by(self.net):
                scores = evaluate.scores(self._network, self.target, self.validation, draw=self.draw, weight=self.weight,
                                         seed=self.config.seed)
            found |= {self._column(key, average): value for key, value in scores.items()}
        self.net.train()
        return found

    def _column(self, key: str, average: Average) -> str:
        return key if average is self.averages[0] else f"{key} ({average.half_life})"

    def _pictures(self) -> None:
        self.net.eval()
        with self.averages[0].worn_by(self.net):
            sheets = evaluate.pictures(self._network, self.target, self.validation, self.start.recipe, seed=self.config.seed)
        self.net.train()
        if self.accelerator.is_main_process:
            evaluate.write_pictures(sheets, self.out / "samples", self.progress.seen)

    def _snapshot(self, epoch: int) -> None:
        """The averaged weights after an epoch as a prior, and their scores in `snapshots.csv`."""
        row = {"epoch": float(epoch), "images": float(self.progress.seen)} | self._scores()
        self.progress = replace(self.progress, snapshots=(*self.progress.snapshots, row))
        self._export(self.out / "snapshots" / f"epoch-{epoch:02d}", row)
        if self.accelerator.is_main_process:
            write_log(self.out, "snapshots", self.progress.snapshots)

    def _checkpoint(self, loss: Tensor, seconds: float) -> None:
        """A row of the log and a checkpoint; the loss first, so that weights which have diverged replace nothing."""
        mean = float(self.accelerator.reduce(loss, "mean"))
        if not mean < float("inf"):
            raise InputError(f"the loss is no number any more at {self.progress.seen:,} images; what {self.out / 'checkpoints'} "
                             "holds is from before: take a lower optim.lr, or precision: fp32, in another out")
        images = self.progress.seen - (self.progress.log[-1]["images"] if self.progress.log else 0)
        row = {"images": float(self.progress.seen), "loss": mean, "images_per_second": images / seconds} | self._scores()
        self.progress = replace(self.progress, seconds=self.progress.seconds + seconds, log=(*self.progress.log, row))
        state = self._state()
        if self.accelerator.is_main_process:
            checkpoints.write(self.out / "checkpoints", state)
            checkpoints.prune(self.out / "checkpoints", self.config.keep, evaluate.SCORE)
            write_log(self.out, "log", self.progress.log)
        with checkpoints.explained(self.out / "tensorboard"):
            self.accelerator.log(row, step=self.progress.seen)
        self.watch.checkpoint(row)

    def _state(self) -> Checkpoint:
        """All there is to know of the run at this moment, gathered from all devices; on the main process only."""
        optimiser = gathered.get_optimizer_state_dict(self.net, self.optimiser.optimizer, options=ON_MAIN)
        tensors = {"network": self._weights(), "optimiser": checkpoints.packed(optimiser.get("state", {}))}
        for average in self.averages:
            with average.worn_by(self.net):
                tensors[f"average-{average.half_life}"] = self._weights()
        scaler = self.accelerator.scaler
        facts = {"scaler": scaler.state_dict() if scaler else {}, "parent": self.parent, "images": self.material.counts}
        return Checkpoint(self.progress, plain(self.config), tensors, facts)

    def _weights(self) -> dict[str, Tensor]:
        """A copy of the network's weights by their own names, whole and on the CPU; on the main process only."""
        whole = gathered.get_model_state_dict(self.net, options=ON_MAIN)
        return {key: value.clone(memory_format=torch.contiguous_format) for key, value in whole.items()}

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
        if found.facts["images"] != self.material.counts:
            changed.append(f"the data were {found.facts['images']} images and are {self.material.counts}")
        if changed:
            raise InputError(f"{self.out} holds checkpoints of another run ({'; '.join(changed[:3])}); give another out, "
                             "or the config of that run to go on with it")
        for average in self.averages:
            gathered.set_model_state_dict(self.net, found.tensors[f"average-{average.half_life}"], options=EVERYWHERE)
            average.take(self.net)
        optimiser = self.optimiser.optimizer
        groups = gathered.get_optimizer_state_dict(self.net, optimiser, options=EVERYWHERE)["param_groups"]
        state = {"state": checkpoints.unpacked(found.tensors["optimiser"]), "param_groups": groups}
        gathered.set_state_dict(self.net, optimiser, model_state_dict=found.tensors["network"], optim_state_dict=state,
                                options=EVERYWHERE)
        for weight, moments in optimiser.state.items():  # laid out in memory as they were, for the same arithmetic
            same = {key: value for key, value in moments.items() if value.shape == weight.shape}
            moments |= {key: torch.empty_like(weight).copy_(value) for key, value in same.items()}
        if self.accelerator.scaler and found.facts["scaler"]:
            self.accelerator.scaler.load_state_dict(found.facts["scaler"])
        self.progress, self.parent = found.progress, found.facts["parent"]

    def finish(self) -> Path:
        """The averaged weights that denoise best, as a prior."""
        self._export(self.out / "prior", self.progress.log[-1])
        self.accelerator.wait_for_everyone()
        return self.out / "prior"

    def _export(self, folder: Path, row: Mapping[str, float]) -> None:
        best = min(self.averages, key=lambda average: row[self._column(evaluate.SCORE, average)])
        with best.worn_by(self.net):
            weights = self._weights()
        scores = {key: row[self._column(key, best)] for key in evaluate.COLUMNS}
        if self.accelerator.is_main_process:
            made_on = f"{self.accelerator.num_processes} x {hardware(self.accelerator.device)}"
            export(folder, weights, replace(self.start, parent=self.parent), self.material, self.config, self.progress, scores,
                   best.half_life, made_on)

    def _facts(self) -> dict[str, Any]:
        train, validation = self.material.counts
        device = f"{self.accelerator.num_processes} x {hardware(self.accelerator.device)}"
        return {"training images": train, "validation images": validation, "parameters": self.parameters, "device": device,
                "out": str(self.out), "seen": self.progress.seen}
