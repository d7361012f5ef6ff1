"""The resumable training loop; what is trained, a prior or a baseline, is a `Task`.

One device or many, on one machine or several: the same config under `torchrun` or `accelerate launch`. Every
pass is a pure function of the seed and of the progress of the run, so that a run which was killed resumes
from its last checkpoint and ends, on the same devices, with the weights of an uninterrupted one.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import torch
from torch import Tensor
from torch.distributed.checkpoint import state_dict as gathered

from ..errors import InputError
from ..files import explained, new_folder
from . import checkpoint as checkpoints
from .checkpoint import Checkpoint, Progress, Tensors
from .config import RunConfig, changes_since, stored
from .ema import ExponentialMovingAverage
from .log import write_log
from .runtime import Process, accelerated, exclusive_run, stop_signals
from .task import SCORE, Batch, Callbacks, RunResult, Stopped, Summary, TrainingTask

if TYPE_CHECKING:
    from accelerate import Accelerator

ON_MAIN = gathered.StateDictOptions(full_state_dict=True, cpu_offload=True)  # the other processes get nothing
EVERYWHERE = gathered.StateDictOptions(full_state_dict=True)


def run(task: TrainingTask[Any], *, callbacks: Callbacks | None = None, resume: bool = True) -> Path:
    """Trains a task from its last checkpoint, or the start, to its end; returns the folder of its result.

    Args:
        callbacks: called on the main process.
        resume: whether to resume from the checkpoints in `config.out`; else a folder that holds some is
            refused.

    Raises:
        InputError: a config, data or folder that cannot work, each before any heavy work; a full disk;
            divergence.
        Stopped: SIGINT, SIGTERM or SIGUSR1 came; a checkpoint is written, and the same call resumes from it.
    """
    with accelerated(task.acceleration) as accelerator, stop_signals() as stop:
        this = Run(task, accelerator, callbacks if callbacks and accelerator.is_main_process else Callbacks())
        with exclusive_run(this.out, enabled=accelerator.is_main_process):
            this.resume(allowed=resume)
            this.learn(stop)
            return this.export()


def export_last_checkpoint(task: TrainingTask[Any]) -> Path:
    """Exports the last checkpoint of a run, whether it has ended or not.

    Raises:
        InputError: no checkpoint in `config.out` is intact.
    """
    with accelerated(task.acceleration) as accelerator:
        this = Run(task, accelerator, Callbacks())
        this.resume()
        if this.progress.step == 0:
            raise InputError(f"{task.config.out} holds no checkpoints; train first")
        return this.export()


class Run(Generic[Batch]):
    """A training run, as one of its processes sees it.

    Attributes:
        net: the network, wrapped for its devices.
        averages: of its weights, by their names in a checkpoint.
        progress: how far the run is.
        process: this one.
    """

    def __init__(self, task: TrainingTask[Batch], accelerator: "Accelerator", callbacks: Callbacks) -> None:
        self.task, self.config, self.accelerator, self.callbacks = task, task.config, accelerator, callbacks
        self.process = Process(accelerator.process_index, accelerator.num_processes, accelerator.device)
        if self.process.world > 1 and not task.parallel:
            raise InputError(
                f"a {task.result} is trained by one process, not by {self.process.world}; "
                "start it without a launcher"
            )
        self.out, self.progress = Path(self.config.out), Progress()
        self.parameters = sum(weight.numel() for weight in task.net.parameters())
        self.names = task.parameter_names()
        self.net, self.optimiser = accelerator.prepare(task.net, task.optimiser)
        self.averages = {
            name: ExponentialMovingAverage(self.net, images) for name, images in task.half_lives.items()
        }

    def learn(self, stop: threading.Event) -> None:
        """Trains to the last image, or until `stop` is set; writes checkpoints on the way and at the end."""
        self._start()
        total: Tensor | float = 0.0
        passes, position, since = 0, self.progress.position, time.monotonic()
        with closing(self.task.batches(self.progress, self.process)) as batches:
            for number, batch in enumerate(batches, self.progress.step * self.task.passes):
                total, passes = total + self._pass(batch, number), passes + 1
                position += len(batch) * self.process.world
                if not self.accelerator.sync_gradients:  # more passes make this step
                    continue
                self._advance(position)
                self.callbacks.on_step(self.progress.seen, total / passes)
                stopping, ended = self._any_stopped(stop), self.progress.seen >= self.config.images
                if stopping or ended or self.due(self.config.checkpoint_images):
                    self._checkpoint(total / passes, time.monotonic() - since)
                    total, passes, since = 0.0, 0, time.monotonic()
                if stopping and not ended:
                    raise Stopped(
                        f"stopped at {self.progress.seen:,} of {self.config.images:,} images and saved; "
                        "run again to continue"
                    )

    def due(self, period: int) -> bool:
        """Whether the last step passed a multiple of `period` images; 0: never."""
        return (
            period > 0
            and self.progress.seen // period != (self.progress.seen - self.images_per_step) // period
        )

    @property
    def images_per_step(self) -> int:
        """By all processes, counted at the smallest side."""
        return self.config.optim.batch * self.config.optim.accumulate * self.process.world

    @contextmanager
    def averaged(self, average: ExponentialMovingAverage) -> Iterator[torch.nn.Module]:
        """The network in evaluation mode with averaged weights, for the duration of the context."""
        self.net.eval()
        try:
            with average.applied_to(self.net):
                yield self.net
        finally:
            self.net.train()

    def show(self, sheets: Mapping[str, Tensor]) -> None:
        """Shows pictures, (1 or 3, height, width) in [0, 1] by name, in TensorBoard where it is installed."""
        from accelerate.tracking import TensorBoardTracker

        with explained(self.out / "tensorboard", checkpoints.ADVICE):
            for tracker in self.accelerator.trackers:
                if isinstance(tracker, TensorBoardTracker):
                    tracker.log_images({name: sheet[None].numpy() for name, sheet in sheets.items()}, self.progress.seen)

    def snapshot(self, epoch: int) -> None:
        """Exports the averaged weights after an epoch, and writes their scores to `snapshots.csv`."""
        row = {"epoch": float(epoch), "images": float(self.progress.seen)} | self._scores()
        self.progress = replace(self.progress, snapshots=(*self.progress.snapshots, row))
        self._export(self.out / "snapshots" / f"epoch-{epoch:02d}", row)
        if self.accelerator.is_main_process:
            write_log(self.out, "snapshots", self.progress.snapshots)

    def resume(self, *, allowed: bool = True) -> None:
        """Restores the last intact checkpoint, if there is one.

        Raises:
            InputError: there are checkpoints and `allowed` is false, none is intact, or they are of another
                run.
        """
        folder = self.out / "checkpoints"
        last, broken = checkpoints.newest(folder)
        for sentence in broken:
            self.callbacks.on_warning(f"{sentence}; the one before it is used")
        if last is None:
            return
        if not allowed:
            raise InputError(
                f"{self.out} holds checkpoints already; allow the run to resume, or give another out"
            )
        changed = changes_since(last.config, self.config, str(folder))
        if last.facts["images"] != self.task.counts():
            changed.append(f"the data were {last.facts['images']} images and are {self.task.counts()}")
        if changed:
            raise InputError(
                f"{self.out} holds checkpoints of another run ({'; '.join(changed[:3])}); give another out, "
                "or the config of that run to resume it"
            )
        self._restore(last)

    def export(self) -> Path:
        """Writes the averaged weights that validate best as the result of the run, replacing an older one."""
        self._export(self.out / self.task.result, self.progress.log[-1])
        self.accelerator.wait_for_everyone()
        return self.out / self.task.result

    def _start(self) -> None:
        with self.accelerator.main_process_first():  # what is slow is done once, and then read by all
            self.task.prepare(self.callbacks.on_prepare)
        self.accelerator.init_trackers("tensorboard")
        train, validation = self.task.counts()
        self.callbacks.on_start(
            Summary(train, validation, self.parameters, self.process.hardware, self.out, self.progress.seen)
        )
        self.net.train()

    def _pass(self, batch: Batch, number: int) -> Tensor | float:
        """One pass, and after the last one of a step, the step of the optimiser; returns the loss."""
        total: Tensor | float = 0.0
        with self.accelerator.accumulate(self.net):
            for loss in self.task.losses(self.net, batch, number, self.process):
                self.accelerator.backward(loss)
                total = total + loss.detach()
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.net.parameters(), self.config.optim.clip)
                self._set_rate()
            self.optimiser.step()
            self.optimiser.zero_grad()
        return total

    def _set_rate(self) -> None:
        """The learning rate of the next step: up, constant, and down to zero at the end."""
        optim, seen = self.config.optim, self.progress.seen
        up = (seen + self.images_per_step) / max(optim.warmup_images, 1)
        down = (self.config.images - seen) / max(optim.decay_images, 1)
        for group in self.optimiser.param_groups:
            group["lr"] = optim.lr * min(1.0, up, down)

    def _advance(self, position: int) -> None:
        """Counts a step, and updates what follows the weights."""
        before, images = self.progress, self.images_per_step
        self.progress = replace(before, step=before.step + 1, seen=before.seen + images, position=position)
        for average in self.averages.values():
            average.update(self.net, self.progress.seen, images)
        self.task.after_step(self, before)

    def _any_stopped(self, stop: threading.Event) -> bool:
        """Whether any process was asked to stop: all of them leave after the same step."""
        if self.process.world == 1:
            return stop.is_set()
        if self.progress.step % 10:  # the question is a round trip between the processes
            return False
        flag = torch.tensor(float(stop.is_set()), device=self.process.device)
        return bool(self.accelerator.reduce(flag, "sum") > 0)

    def _scores(self) -> dict[str, float]:
        """The scores of each average; all but the first have their half-life in the name."""
        scores: dict[str, float] = {}
        for name, average in self.averages.items():
            with self.averaged(average) as net:
                values = self.task.scores(net, self.process)
            scores |= {f"{key}{self._suffix(name)}": value for key, value in values.items()}
        return scores

    def _suffix(self, name: str) -> str:
        """What the columns of an average end in."""
        return "" if name == next(iter(self.averages)) else f" ({self.averages[name].half_life})"

    def _checkpoint(self, loss: Tensor | float, seconds: float) -> None:
        """Writes a row of the log and a checkpoint, unless the loss has diverged."""
        mean = float(self.accelerator.reduce(loss, "mean"))
        if not mean < float("inf"):
            precision = "" if self.accelerator.mixed_precision == "no" else " or precision: fp32,"
            raise InputError(
                f"the loss is not finite any more at {self.progress.seen:,} images; "
                f"what {self.out / 'checkpoints'} holds is from before: "
                f"take a lower optim.lr,{precision} in another out"
            )
        images = self.progress.seen - (self.progress.log[-1]["images"] if self.progress.log else 0)
        row = {
            "images": float(self.progress.seen),
            "loss": mean,
            "images_per_second": images / seconds,
        } | self._scores()
        self.progress = replace(
            self.progress, seconds=self.progress.seconds + seconds, log=(*self.progress.log, row)
        )
        state = self._state()
        if self.accelerator.is_main_process:
            checkpoints.write_checkpoint(self.out / "checkpoints", state)
            checkpoints.prune(self.out / "checkpoints", self.config.keep, SCORE)
            write_log(self.out, "log", self.progress.log)
        with explained(self.out / "tensorboard", checkpoints.ADVICE):
            self.accelerator.log(row, step=self.progress.seen)
        self.callbacks.on_checkpoint(row)

    def _state(self) -> Checkpoint:
        """The whole state of the run, gathered from all devices; on the main process only."""
        optimiser: dict[str, Any] = gathered.get_optimizer_state_dict(
            self.net, self.optimiser.optimizer, options=ON_MAIN
        )
        moments = {self.names[name]: values for name, values in optimiser.get("state", {}).items()}
        tensors = {"network": self._weights(), "optimiser": checkpoints.packed(moments)}
        for name, average in self.averages.items():
            with average.applied_to(self.net):
                tensors[name] = self._weights()
        scaler = self.accelerator.scaler
        facts = (
            {"scaler": scaler.state_dict() if scaler else {}}
            | self.task.facts()
            | {"images": self.task.counts()}
        )
        return Checkpoint(self.progress, stored(self.config), tensors, facts)

    def _weights(self) -> Tensors:
        """A copy of the network's weights by their own names, on the CPU; on the main process only."""
        weights: dict[str, Any] = gathered.get_model_state_dict(self.net, options=ON_MAIN)
        return {key: value.clone(memory_format=torch.contiguous_format) for key, value in weights.items()}

    def _restore(self, last: Checkpoint) -> None:
        self.task.restore(last.facts)
        weights: dict[str, dict[str, Any]] = {name: dict(tensors) for name, tensors in last.tensors.items()}
        for name, average in self.averages.items():
            gathered.set_model_state_dict(self.net, weights[name], options=EVERYWHERE)
            average.copy_from(self.net)
        optimiser = self.optimiser.optimizer
        groups = gathered.get_optimizer_state_dict(self.net, optimiser, options=EVERYWHERE)["param_groups"]
        originals = {stored: name for name, stored in self.names.items()}
        moments = checkpoints.unpacked(last.tensors["optimiser"])
        state: dict[str, Any] = {
            "state": {originals[name]: values for name, values in moments.items()},
            "param_groups": groups,
        }
        gathered.set_state_dict(
            self.net,
            optimiser,
            model_state_dict=weights["network"],
            optim_state_dict=state,
            options=EVERYWHERE,
        )
        for (
            weight,
            values,
        ) in optimiser.state.items():  # laid out in memory as they were, for the same arithmetic
            same = {key: value for key, value in values.items() if value.shape == weight.shape}
            values |= {key: torch.empty_like(weight).copy_(value) for key, value in same.items()}
        if self.accelerator.scaler and last.facts.get("scaler"):
            self.accelerator.scaler.load_state_dict(last.facts["scaler"])
        self.progress = last.progress

    def _export(self, folder: Path, row: Mapping[str, float]) -> None:
        """Writes the average with the lowest `SCORE` in a row of a log."""
        name = min(self.averages, key=lambda name: row[f"{SCORE}{self._suffix(name)}"])
        suffix, average = self._suffix(name), self.averages[name]
        with average.applied_to(self.net):
            weights = self._weights()
        scores = {key: row[f"{key}{suffix}"] for key in row if f"{key}{suffix}" in row}
        if self.accelerator.is_main_process:
            result = RunResult(weights, average.half_life, scores, self.progress, self.process)
            with new_folder(folder, replace=True, advice=checkpoints.ADVICE) as part:
                _write_beside(part, self.config, self.progress, self.task.write(part, result))


def _write_beside(folder: Path, config: RunConfig, progress: Progress, card: str) -> None:
    """Writes `config.yaml`, the log where it has a row, and the card where there is one, beside a trained network."""
    import yaml

    (folder / "config.yaml").write_text(yaml.safe_dump(stored(config), sort_keys=False), encoding="utf-8")
    if card:
        (folder / "CARD.md").write_text(card, encoding="utf-8", errors="replace")
    if progress.log:
        write_log(folder, "log", progress.log)
