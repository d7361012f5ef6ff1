"""A run that is stopped, killed or out of room goes on, and ends with the weights of an unbroken one."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runs import Diary, Waves, go, weights

from medrestore.errors import InputError
from medrestore.files import Stage
from medrestore.training import Stopped

RUNS = Path(__file__).parents[1] / "helpers" / "runs.py"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The arithmetic of the other processes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unbroken run."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole")
    go(out)
    return out


class At(Diary):
    """Does something after so many images."""

    def __init__(self, images: int, act: Any) -> None:
        super().__init__()
        self.images, self.act = images, act

    def seen(self, images: int) -> None:
        if images == self.images:
            self.act()


def interrupt() -> None:
    raise KeyboardInterrupt


def kept(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "checkpoints").iterdir())


@pytest.mark.parametrize("images", [8, 40, 64, 88])
def test_an_interrupted_run_ends_as_an_unbroken_one(whole: Path, tmp_path: Path, images: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, watch=At(images, interrupt))
    diary = Diary()
    go(tmp_path, watch=diary)
    assert diary.facts["seen"] == (images - 1) // 32 * 32 and not diary.warnings
    assert weights(tmp_path) == weights(whole)
    lines = [[json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] for out in (tmp_path, whole)]
    for row in (*lines[0], *lines[1]):
        del row["images_per_second"]
    assert lines[0] == lines[1] and [row["images"] for row in lines[0]] == [32, 64, 96]


@pytest.mark.parametrize("changes", [
    {"optim__accumulate": 2}, {"network__dropout": 0.2}, {"precision": "bf16"}, {"ema_images": [8, 64]},
    {"objective__kind": "velocity", "objective__weighting": "min_snr"}, {"gradient_checkpointing": True},
], ids=lambda changes: next(iter(changes)))
def test_and_so_with_every_setting(tmp_path: Path, changes: dict[str, Any]) -> None:
    go(tmp_path / "a", **changes)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "b", watch=At(80, interrupt), **changes)
    go(tmp_path / "b", **changes)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


@pytest.mark.slow
def test_processes_that_prepare_crops_change_nothing(whole: Path, tmp_path: Path) -> None:
    go(tmp_path, data__workers=2)
    assert weights(tmp_path) == weights(whole)


@pytest.mark.slow
def test_a_killed_process_goes_on(whole: Path, tmp_path: Path) -> None:
    """SIGKILL while crops of the eighth of twelve steps are read; then the same command again."""
    environment = os.environ | {"DIE": f"0,25,{tmp_path / 'died'}"}
    command = [sys.executable, str(RUNS), str(tmp_path / "run")]
    assert subprocess.run(command, env=environment, timeout=100).returncode == -signal.SIGKILL
    assert kept(tmp_path / "run") and not (tmp_path / "run" / "prior").exists()
    subprocess.run(command, env=environment, timeout=100, check=True)
    assert weights(tmp_path / "run") == weights(whole)


def test_a_run_killed_while_it_writes_keeps_what_was_whole(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the last byte and the renaming, a checkpoint is not there, and what is left of it goes."""
    with monkeypatch.context() as patch:
        replace = os.replace

        def killed(source: Any, target: Any) -> None:
            if Path(target).name == f"{64:09d}":
                raise KeyboardInterrupt
            replace(source, target)

        patch.setattr(os, "replace", killed)
        patch.setattr(Stage, "remove", Stage.leave)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path)
    assert kept(tmp_path)[0].startswith(f".{64:09d}.") and kept(tmp_path)[1:] == [f"{32:09d}"]
    go(tmp_path)
    assert weights(tmp_path) == weights(whole) and kept(tmp_path) == [f"{n:09d}" for n in (64, 96)]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_saves_and_stops(whole: Path, tmp_path: Path, name: str) -> None:
    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(Stopped, match=r"stopped at 40 of 96 images and saved; run again to continue"):
        go(tmp_path, watch=At(40, lambda: os.kill(os.getpid(), getattr(signal, name))))
    assert kept(tmp_path)[-1] == f"{40:09d}" and signal.getsignal(getattr(signal, name)) == before
    go(tmp_path)
    assert weights(tmp_path) == weights(whole)


def test_a_full_disk_is_a_sentence_and_leaves_the_last_checkpoint(
        whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", _full_after(5))  # a checkpoint is three files of tensors and one of text
        with pytest.raises(InputError, match=r"000000064 cannot be written \(no space left on device\).*run the same"):
            go(tmp_path)
    assert kept(tmp_path) == [f"{32:09d}"]
    go(tmp_path)
    assert weights(tmp_path) == weights(whole)


def _full_after(files: int) -> Any:
    """`Path.write_bytes` on a disk that has room for so many files of tensors."""
    write, count = Path.write_bytes, iter(range(1000))

    def full(path: Path, data: bytes) -> None:
        if path.suffix == ".safetensors" and next(count) >= files:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    return full


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_a_file_that_may_not_grow_is_a_sentence(tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, str(RUNS), str(tmp_path)]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=100)
    assert "000000032 cannot be written (file too large)" in done.stderr
    assert kept(tmp_path) == []


@pytest.mark.parametrize("file", ["optimiser.safetensors", "checkpoint.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(whole: Path, tmp_path: Path, file: str) -> None:
    go(tmp_path)
    path = tmp_path / "checkpoints" / f"{96:09d}" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data if file.endswith("safetensors") else data[:100])
    diary = Diary()
    go(tmp_path, watch=diary)
    assert diary.facts["seen"] == 64 and weights(tmp_path) == weights(whole)
    assert [f"{96:09d} is damaged" in sentence for sentence in diary.warnings] == [True]


def test_no_whole_checkpoint_is_refused(tmp_path: Path) -> None:
    go(tmp_path)
    for path in (tmp_path / "checkpoints").glob("*/network.safetensors"):
        path.unlink()
    with pytest.raises(InputError, match=r"none of the 2 checkpoints in .* is whole \(.*000000096 is damaged: No such file"):
        go(tmp_path)


def test_another_config_is_refused_and_a_longer_one_is_not(tmp_path: Path) -> None:
    go(tmp_path)
    with pytest.raises(InputError, match=r"another run \(optim.lr was 0.002 and is 0.001\); give another out"):
        go(tmp_path, optim__lr=1e-3)
    with pytest.raises(InputError, match=r"the data were \[12, 6\] images and are \[9, 6\]"):
        go(tmp_path, data=Waves(0, 9))
    with pytest.raises(InputError, match="holds checkpoints already"):
        go(tmp_path, resume=False)
    diary = Diary()
    go(tmp_path, watch=diary, keep=1, sample_images=64, optim__decay_images=16)
    assert diary.facts["seen"] == 96 and diary.rows == []


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    def again() -> None:
        with pytest.raises(InputError, match="another run is training in"):
            go(tmp_path)

    go(tmp_path, watch=At(40, again))


def test_the_last_and_the_best_checkpoints_stay(tmp_path: Path) -> None:
    """The rate is so high after the first checkpoint that it stays the best."""
    go(tmp_path, optim__lr=0.5, optim__clip=100.0, optim__warmup_images=96, optim__decay_images=0, keep=1, checkpoint_images=16)
    scores = {row["images"]: row["validation_loss"] for row in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())}
    best = min(scores, key=scores.__getitem__)
    assert best < 96 and kept(tmp_path) == [f"{int(best):09d}", f"{96:09d}"]


def test_divergence_replaces_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss is no number any more at \d+ images.*lower optim.lr"):
        go(tmp_path, optim__lr=1e30, optim__warmup_images=0, checkpoint_images=8)
    assert all(json.loads((path / "checkpoint.json").read_text())["progress"]["log"][-1]["loss"] < 1e30
               for path in (tmp_path / "checkpoints").iterdir())


def elastic(out: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3",
               "--monitor-interval", "0.2", str(RUNS), str(out)]
    environment |= {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # as train/workstation.sh
    subprocess.run(command, env=os.environ | environment, check=True, timeout=120, capture_output=True)


@pytest.mark.slow
def test_two_processes_of_which_one_dies_complete_the_run(tmp_path: Path) -> None:
    """The elastic launcher starts both again; the weights are those of two processes that lived."""
    elastic(tmp_path / "alive", {})
    elastic(tmp_path / "died", {"DIE": f"1,9,{tmp_path / 'marker'}"})
    assert (tmp_path / "marker").exists()
    assert weights(tmp_path / "died") == weights(tmp_path / "alive")
