"""A run that is stopped or killed resumes and ends with the weights of an uninterrupted one; another run is refused."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import runs
from helpers.runs import Recorder, Waves, checkpoint_names, train_waves, weights

from medrestore.errors import InputError
from medrestore.training import Stopped

TESTS = Path(runs.__file__).parents[1]  # where `python -m helpers.runs` is found


class ActAt(Recorder):
    """Does something after so many images."""

    def __init__(self, images: int, act: Callable[[], Any]) -> None:
        super().__init__()
        self.images, self.act = images, act

    def on_step(self, images: int, loss: object) -> None:
        if images == self.images:
            self.act()


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("images", [8, 40, 64, 88])
def test_interrupted_run_resumes_to_the_weights_of_an_uninterrupted_one(uninterrupted: Path, tmp_path: Path, images: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_waves(tmp_path, callbacks=ActAt(images, interrupt))
    recorder = Recorder()
    train_waves(tmp_path, callbacks=recorder)
    assert recorder.summary.images == (images - 1) // 32 * 32 and not recorder.warnings
    assert weights(tmp_path) == weights(uninterrupted)
    lines = [[json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (tmp_path, uninterrupted)]
    for row in (*lines[0], *lines[1]):
        del row["images_per_second"]
    assert lines[0] == lines[1] and [row["images"] for row in lines[0]] == [32, 64, 96]


@pytest.mark.parametrize("changes", [
    {"optim__accumulate": 2}, {"network__dropout": 0.2}, {"precision": "bf16"}, {"ema_images": [8, 64]},
    {"objective__kind": "velocity", "objective__weighting": "min_snr"}, {"gradient_checkpointing": True},
], ids=lambda changes: next(iter(changes)))
def test_resuming_is_exact_with_every_setting(tmp_path: Path, changes: dict[str, Any]) -> None:
    train_waves(tmp_path / "a", **changes)
    with pytest.raises(KeyboardInterrupt):
        train_waves(tmp_path / "b", callbacks=ActAt(80, interrupt), **changes)
    train_waves(tmp_path / "b", **changes)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


@pytest.mark.slow
def test_workers_do_not_change_the_weights(uninterrupted: Path, tmp_path: Path) -> None:
    train_waves(tmp_path, data__workers=2)
    assert weights(tmp_path) == weights(uninterrupted)


@pytest.mark.slow
def test_killed_process_resumes(uninterrupted: Path, tmp_path: Path) -> None:
    """SIGKILL while crops of the eighth of twelve steps are read; then the same command again."""
    environment = os.environ | {"DIE": f"0,25,{tmp_path / 'died'}"}
    command = [sys.executable, "-m", "helpers.runs", str(tmp_path / "run")]
    assert subprocess.run(command, cwd=TESTS, env=environment, timeout=100).returncode == -signal.SIGKILL
    assert checkpoint_names(tmp_path / "run") and not (tmp_path / "run" / "prior").exists()
    subprocess.run(command, cwd=TESTS, env=environment, timeout=100, check=True)
    assert weights(tmp_path / "run") == weights(uninterrupted)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1"])
def test_signal_saves_and_stops(uninterrupted: Path, tmp_path: Path, name: str) -> None:
    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(Stopped, match=r"stopped at 40 of 96 images and saved; run again to continue"):
        train_waves(tmp_path, callbacks=ActAt(40, lambda: os.kill(os.getpid(), getattr(signal, name))))
    assert checkpoint_names(tmp_path)[-1] == f"{40:09d}" and signal.getsignal(getattr(signal, name)) == before
    train_waves(tmp_path)
    assert weights(tmp_path) == weights(uninterrupted)


def test_another_config_is_refused_and_a_longer_run_is_not(tmp_path: Path) -> None:
    train_waves(tmp_path)
    with pytest.raises(InputError, match=r"another run \(optim.lr was 0.002 and is 0.001\); give another out"):
        train_waves(tmp_path, optim__lr=1e-3)
    with pytest.raises(InputError, match=r"the data were \[12, 6\] images and are \[9, 6\]"):
        train_waves(tmp_path, data=Waves(0, 9))
    with pytest.raises(InputError, match="holds checkpoints already"):
        train_waves(tmp_path, resume=False)
    recorder = Recorder()
    train_waves(tmp_path, callbacks=recorder, keep=1, sample_images=64, optim__decay_images=16)
    assert recorder.summary.images == 96 and recorder.rows == []


def test_second_run_in_a_folder_is_refused(tmp_path: Path) -> None:
    def again() -> None:
        with pytest.raises(InputError, match="another run is training in"):
            train_waves(tmp_path)

    train_waves(tmp_path, callbacks=ActAt(40, again))


def test_diverged_weights_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss is not finite any more at \d+ images.*lower optim.lr"):
        train_waves(tmp_path, optim__lr=1e30, optim__warmup_images=0, checkpoint_images=8)
    assert all(json.loads((path / "checkpoint.json").read_text())["progress"]["log"][-1]["loss"] < 1e30
               for path in (tmp_path / "checkpoints").iterdir())


def elastic(out: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3",
               "--monitor-interval", "0.2", "--module", "helpers.runs", str(out)]
    environment |= {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # as train/workstation.sh
    subprocess.run(command, cwd=TESTS, env=os.environ | environment, check=True, timeout=120, capture_output=True)


@pytest.mark.slow
def test_two_processes_of_which_one_dies_complete_the_run(tmp_path: Path) -> None:
    """The elastic launcher starts both again; the weights are those of two processes that were not killed."""
    elastic(tmp_path / "alive", {})
    elastic(tmp_path / "died", {"DIE": f"1,9,{tmp_path / 'marker'}"})
    assert (tmp_path / "marker").exists()
    assert weights(tmp_path / "died") == weights(tmp_path / "alive")
