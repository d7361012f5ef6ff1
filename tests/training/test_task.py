"""The loop trains any task: a line fitted to points, with what it calls and when."""

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runs import Recorder, prior_config
from torch import Tensor

from medrestore.errors import InputError
from medrestore.training import Stopped
from medrestore.training.checkpoint import Progress
from medrestore.training.run import Run, export_last_checkpoint, run
from medrestore.training.runtime import Acceleration, Process
from medrestore.training.task import SCORE, RunResult, TrainingTask

SLOPE = 3.0


class Line(TrainingTask[Tensor]):
    """y = weight * x, learned from 8 points a step; validated by the error of the slope."""

    result = "line"

    def __init__(self, out: Path, **changes: Any) -> None:
        self.config = prior_config(out, optim__lr=0.1, optim__clip=1e9, **changes)
        self.net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.net.weight)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), 0.1, weight_decay=0.0)
        self.half_lives = {"fast": 1, "slow": 1000}
        self.acceleration = Acceleration()
        self.calls: list[Any] = []

    def counts(self) -> list[int]:
        return [8, 1]

    def prepare(self, progress: Callable[[str, int], Callable[[], None]]) -> None:
        self.calls.append("prepare")

    def batches(self, progress: Progress, process: Process) -> Generator[Tensor, None, None]:
        for start in range(progress.seen, self.config.images, 8):
            yield torch.rand(8, 1, generator=torch.Generator().manual_seed(start))

    def losses(self, net: torch.nn.Module, batch: Tensor, number: int, process: Process) -> Iterator[Tensor]:
        """In two halves, whose gradients are added up."""
        self.calls.append(number)
        for half in batch.to(process.device).split(4):
            yield (net(half) - SLOPE * half).square().mean() / 2

    def scores(self, net: torch.nn.Module, process: Process) -> dict[str, float]:
        assert not net.training
        return {SCORE: abs(float(next(net.parameters()).detach()) - SLOPE)}

    def write(self, folder: Path, result: RunResult) -> str:
        torch.save(result.weights, folder / "weights.pt")
        self.exported = result
        return ""

    def after_step(self, run: Run[Tensor], before: Progress) -> None:
        self.calls.append((before.seen, run.progress.seen))

    def facts(self) -> dict[str, Any]:
        return {"parent": "zero"}

    def restore(self, facts: Mapping[str, Any]) -> None:
        self.calls.append(facts["parent"])


def test_task_is_trained_validated_and_exported(tmp_path: Path) -> None:
    task, recorder = Line(tmp_path, images=400, checkpoint_images=200), Recorder()
    assert run(task, callbacks=recorder) == tmp_path / "line"
    scores = {1: recorder.rows[-1][SCORE], 1000: recorder.rows[-1][f"{SCORE} (1000)"]}
    best = min(scores, key=scores.__getitem__)
    assert task.exported.scores[SCORE] == scores[best] < 0.2 and scores[1] != scores[1000]
    assert task.exported.half_life == best and task.exported.progress.seen == 400
    assert float(task.exported.weights["weight"]) == pytest.approx(SLOPE, abs=0.2)
    assert task.calls[:3] == ["prepare", 0, (0, 8)] and task.calls[-1] == (392, 400)
    assert recorder.summary.parameters == 1 and recorder.summary.images == 0
    assert recorder.summary.training_images == 8 and recorder.summary.out == tmp_path


def test_losses_of_a_pass_are_added_up(tmp_path: Path) -> None:
    """The first loss is the mean square of 3 x over the whole batch."""
    recorder = Recorder()
    run(Line(tmp_path, images=8, checkpoint_images=8), callbacks=recorder)
    x = torch.rand(8, 1, generator=torch.Generator().manual_seed(0))
    assert recorder.rows[0]["loss"] == pytest.approx(float((SLOPE * x).square().mean()))


def test_task_resumes_with_its_facts_and_numbers(tmp_path: Path) -> None:
    class Interrupted(Recorder):
        def on_step(self, images: int, loss: torch.Tensor | float) -> None:
            if images == 48:
                raise KeyboardInterrupt

    run(first := Line(tmp_path / "a"))
    with pytest.raises(KeyboardInterrupt):
        run(Line(tmp_path / "b"), callbacks=Interrupted())
    run(second := Line(tmp_path / "b"))
    assert second.calls[:3] == ["zero", "prepare", 4]  # the checkpoint has 32 images, 4 passes of 8
    assert torch.equal(first.exported.weights["weight"], second.exported.weights["weight"])
    run(Line(tmp_path / "c", images=32))
    with pytest.raises(InputError, match="the data were"):
        ended = Line(tmp_path / "c")
        ended.counts = lambda: [9, 1]  # type: ignore[method-assign]
        run(ended)


def test_export_needs_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no checkpoints; train first"):
        export_last_checkpoint(Line(tmp_path))


def test_stopped_run_says_how_far_it_is(tmp_path: Path) -> None:
    class Stopping(Recorder):
        def on_step(self, images: int, loss: torch.Tensor | float) -> None:
            if images == 16:
                import signal

                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped at 16 of 96 images and saved; run again to continue"):
        run(Line(tmp_path), callbacks=Stopping())
