"""Checkpoints are written completely or not at all, and checked when they are read."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import runs
from helpers.runs import Recorder, checkpoint_names, train_waves, weights
from torch import Tensor

from medrestore.errors import InputError
from medrestore.files import Stage, new_folder
from medrestore.training import checkpoint
from medrestore.training.checkpoint import Checkpoint, Progress

TESTS = Path(runs.__file__).parents[1]  # where `python -m helpers.runs` is found


def test_kill_during_writing_leaves_earlier_checkpoints(uninterrupted: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the last byte and the renaming, a checkpoint is not there."""
    with monkeypatch.context() as patch:
        replace = os.replace

        def killed(source: Any, target: Any) -> None:
            if Path(target).name == f"{64:09d}":
                raise KeyboardInterrupt
            replace(source, target)

        patch.setattr(os, "replace", killed)
        patch.setattr(Stage, "remove", Stage.leave)
        with pytest.raises(KeyboardInterrupt):
            train_waves(tmp_path)
    partial, complete = checkpoint_names(tmp_path)
    assert partial.startswith(f".{64:09d}.") and complete == f"{32:09d}"
    train_waves(tmp_path)
    assert weights(tmp_path) == weights(uninterrupted) and checkpoint_names(tmp_path) == [f"{n:09d}" for n in (64, 96)]


def test_full_disk_is_reported_and_leaves_the_last_checkpoint(
        uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_tensors", _full_after(5))  # a checkpoint is three files of tensors and one of text
        with pytest.raises(InputError, match=r"000000064 cannot be written \(no space left on device\).*run the same"):
            train_waves(tmp_path)
    assert checkpoint_names(tmp_path) == [f"{32:09d}"]
    train_waves(tmp_path)
    assert weights(tmp_path) == weights(uninterrupted)


def _full_after(files: int) -> Any:
    """`write_tensors` on a disk that has space for so many files."""
    write, count = checkpoint.write_tensors, iter(range(1000))

    def full(path: Path, tensors: dict[str, Tensor]) -> str:
        if next(count) >= files:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, tensors)

    return full


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_limited_file_size_is_reported(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-m", "helpers.runs", str(tmp_path)]
    done = subprocess.run(command, cwd=TESTS, preexec_fn=limit, capture_output=True, text=True, timeout=100)
    assert "000000032 cannot be written (file too large)" in done.stderr
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("file", ["optimiser.safetensors", "checkpoint.json"])
def test_damaged_checkpoint_is_named_and_the_one_before_is_used(uninterrupted: Path, tmp_path: Path, file: str) -> None:
    train_waves(tmp_path)
    path = tmp_path / "checkpoints" / f"{96:09d}" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data if file.endswith("safetensors") else data[:100])
    recorder = Recorder()
    train_waves(tmp_path, callbacks=recorder)
    assert recorder.summary.images == 64 and weights(tmp_path) == weights(uninterrupted)
    assert [f"{96:09d} is damaged" in sentence for sentence in recorder.warnings] == [True]


def test_only_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    train_waves(tmp_path)
    for path in (tmp_path / "checkpoints").glob("*/network.safetensors"):
        path.unlink()
    with pytest.raises(InputError, match=r"none of the 2 checkpoints in .* is intact \(.*000000096 is damaged: No such file"):
        train_waves(tmp_path)


def test_last_and_best_checkpoints_stay(tmp_path: Path) -> None:
    """The rate is so high after the first checkpoint that it stays the best."""
    train_waves(tmp_path, optim__lr=0.5, optim__clip=100.0, optim__warmup_images=96, optim__decay_images=0, keep=1,
                checkpoint_images=16)
    scores = {row["images"]: row["validation_loss"] for row in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())}
    best = min(scores, key=scores.__getitem__)
    assert best < 96 and checkpoint_names(tmp_path) == [f"{int(best):09d}", f"{96:09d}"]


def example(images: int, score: float = 1.0) -> Checkpoint:
    tensors = {"network": {"weight": torch.arange(4.0)}, "optimiser": {}}
    progress = Progress(2, images, images, 1.5, ({"images": float(images), "validation_loss": score},))
    return Checkpoint(progress, {"seed": 3}, tensors, {"images": [12, 6]})


def test_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = checkpoint.write_checkpoint(tmp_path, example(32))
    again = checkpoint.load(path)
    assert path.name == "000000032" and checkpoint.newest(tmp_path)[0] is not None
    assert again.progress == example(32).progress and again.config == {"seed": 3} and again.facts == {"images": [12, 6]}
    assert torch.equal(again.tensors["network"]["weight"], torch.arange(4.0))


def test_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    path = checkpoint.write_checkpoint(tmp_path, example(32))
    about = json.loads((path / "checkpoint.json").read_text())
    (path / "checkpoint.json").write_text(json.dumps(about | {"format": 9}))
    with pytest.raises(InputError, match=r"is damaged: checkpoint\.json has format 9, and this version reads 1"):
        checkpoint.load(path)


def test_pruning_removes_partial_and_worse_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for images, score in ((8, 3.0), (16, 1.0), (24, 2.0), (32, 4.0)):
        checkpoint.write_checkpoint(tmp_path, example(images, score))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Stage, "remove", Stage.leave)  # as a killed process
        with new_folder(tmp_path / "000000040"):
            raise KeyboardInterrupt
    assert len(list(tmp_path.iterdir())) == 5
    (tmp_path / "000000040.part").mkdir()  # of the user, as what follows
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "photo.png").write_text("precious")
    (tmp_path / "000000008" / "notes.txt").write_text("precious")
    checkpoint.prune(tmp_path, 1, "validation_loss")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["000000008", "000000016", "000000032", "000000040.part", "7"]
    assert (tmp_path / "7" / "photo.png").read_text() == "precious"


def test_optimiser_state_is_one_level_of_tensors() -> None:
    state = {"net.weight": {"step": torch.tensor(3.0), "exp_avg": torch.ones(2, 2).T}, "bias": {"step": torch.tensor(1.0)}}
    packed = checkpoint.packed(state)
    assert set(packed) == {"step/net.weight", "exp_avg/net.weight", "step/bias"}
    again = checkpoint.unpacked(packed)
    assert {name: set(values) for name, values in again.items()} == {name: set(values) for name, values in state.items()}
    assert torch.equal(again["net.weight"]["exp_avg"], torch.ones(2, 2))
