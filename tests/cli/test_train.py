"""`medrestore train`: from a config to a prior that restores, with complaints that name the key."""

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers.phantom import head_and_maps

from medrestore.baselines import ZeroFilled
from medrestore.baselines import load as load_baseline
from medrestore.cli.main import main
from medrestore.datasets import images
from medrestore.methods import HQS
from medrestore.metrics import psnr
from medrestore.mri import sampling_mask, simulate_scan
from medrestore.operators import Sense
from medrestore.priors import load
from medrestore.priors.store import describe
from medrestore.problem import Problem
from medrestore.restoration import restore
from medrestore.training import Summary
from medrestore.training.run import Run

QUICK = Path(__file__).parents[2] / "configs" / "train" / "quick.yaml"
TINY = {
    "network": {"in_channels": 2, "out_channels": 2, "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
                "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2, "add_attention": False},
    "data": {"train": [{"kind": "phantoms", "count": 8, "size": 32, "form": "complex"}],
             "validation": [{"kind": "phantoms", "count": 2, "first": 8, "size": 32, "form": "complex"}],
             "sides": [[16, 1.0]], "validation_crops": 2},
    "optim": {"batch": 4, "warmup_images": 4, "decay_images": 8}, "images": 32, "ema_images": 8, "checkpoint_images": 16,
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "my.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


def run(recipe: Path, *words: str) -> int:
    return main(["train", str(recipe), "--out", str(recipe.parent / "run"), *words])


def test_a_run_says_what_it_found_and_where_the_prior_is(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(recipe, "optim.lr=1e-3", "card.name=tiny") == 0
    lines, folder = capsys.readouterr().out.splitlines(), recipe.parent / "run" / "prior"
    assert lines[0].startswith("8 images to train on, 2 to validate; 0.04 million parameters on 1 x cpu; 32 images; to ")
    assert [line.split(" images")[0] for line in lines[1:3]] == ["16 of 32", "32 of 32"] and "psnr_at_0.1" in lines[1]
    assert lines[3:] == [str(folder)]
    assert yaml.safe_load((folder / "config.yaml").read_text())["optim"]["lr"] == 1e-3
    assert main(["inspect", str(folder)]) == 0 and "tiny" in capsys.readouterr().out


def test_it_goes_on_exports_and_is_a_parent(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(recipe, "images=16") == run(recipe, "images=32") == 0
    assert "; 32 images, resuming from 16; to" in capsys.readouterr().out
    assert run(recipe, "--export-only") == 0 and capsys.readouterr().out.strip().endswith("prior")
    parent = recipe.parent / "run" / "prior"
    child = recipe.parent / "child"
    assert main(["train", str(recipe), "--init", str(parent), "-o", str(child), "network={}", "images=4"]) == 0
    assert describe(child / "prior")["card"]["parent"]["sha256"] == describe(parent)["sha256"]


def test_a_signal_is_no_error(recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Run._advance

    def signalled(self: Run[Any], position: int) -> None:
        advance(self, position)
        if self.progress.seen == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Run, "_advance", signalled)
    assert run(recipe) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "stopped at 20 of 32 images and saved; run again to continue"


@pytest.mark.parametrize(("words", "said"), [
    (["optim.btach=1"], "my.yaml: optim.btach is no option; did you mean optim.batch?"),
    (["optim.lr=fast"], "optim.lr must be a number, got 'fast'"),
    (["lr"], "'lr' is no setting; write key=value, as optim.lr=1e-4"),
    (["network=[1"], "the value of 'network=[1' cannot be read"),
    (["data.sides=[[15, 1]]"], "sides of 15 pixels do not fit the network"),
    (["data.validation=[{kind: phantoms, count: 2, size: 32, form: complex}]"], "Training and validation share"),
    (["data.train=[{kind: unheard}]"], "'unheard'"),
    (["--init", "nowhere"], "no prior at nowhere"),
    (["--resume", "maybe"], "--resume must be one of auto, never, got 'maybe'"),
    (["--export-only"], "holds no checkpoints; train first"),
])
def test_refusals(recipe: Path, capsys: pytest.CaptureFixture[str], words: Sequence[str], said: str) -> None:
    assert run(recipe, *words) == 2
    complaint = capsys.readouterr().err
    assert said in complaint and complaint.count("\n") == 1 and complaint.startswith("medrestore train: error: ")
    assert not (recipe.parent / "run" / "checkpoints").exists()


def test_a_damaged_checkpoint_is_warned_of(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(recipe) == 0
    (recipe.parent / "run" / "checkpoints" / "000000032" / "network.safetensors").write_bytes(b"")
    assert run(recipe) == 0
    said = capsys.readouterr()
    assert "medrestore train: warning: " in said.err and "000000032 is damaged" in said.err and "resuming from 16" in said.out
    assert run(recipe, "--resume", "never") == 2 and "holds checkpoints already" in capsys.readouterr().err


@pytest.mark.slow
def test_the_quick_recipe_beats_zero_filling(tmp_path: Path) -> None:
    """On phantoms that it has not seen, after a quarter of the recipe."""
    settings: list[Any] = ["images=2000", "optim.decay_images=1000", "checkpoint_images=2000", "sample_images=0"]
    started = time.monotonic()
    assert main(["train", str(QUICK), "-o", str(tmp_path), *settings]) == 0
    assert time.monotonic() - started < 120
    prior = load(tmp_path / "prior")
    unseen = images([{"kind": "phantoms", "count": 2, "first": 900, "size": 64, "form": "complex"}])
    _, maps, generator = head_and_maps((64, 64), 4, 0)
    mask = sampling_mask("gaussian1d", (64, 64), 4, acs=8, seed=0).mask
    for index in range(2):
        truth = torch.complex(*unseen[index])[None, None]
        kspace = simulate_scan(truth, maps, torch.ones(1, 64), noise_std=0.01, generator=generator) * mask
        problem = Problem(Sense(maps, mask), kspace, sigma=0.01)
        restored = restore(problem, prior, HQS(), steps=25).mean[0]
        zero_filled = ZeroFilled().reconstruct(kspace, maps, mask)[0, 0]
        reference = truth[0, 0].abs() * (maps != 0).any(1)[0]
        scores = [psnr(image.abs().reshape(64, 64), reference, data_range=1.0) for image in (restored, zero_filled)]
        assert scores[0] > scores[1] + 1.5


def test_a_recipe_of_a_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    phantoms = {"kind": "phantoms", "size": 32, "form": "complex"}
    recipe: dict[str, Any] = {"baseline": "unet", "network": {"channels": 4}, "images": 4, "checkpoint_images": 4,
              "data": {"train": [phantoms | {"count": 4}], "validation": [phantoms | {"count": 2, "first": 4}],
                       "validation_scans": 1},
              "scan": {"kinds": ["uniform1d"], "accels": [[3, 4]], "coils": [2]}}
    Path("my.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["train", "my.yaml", "-o", "run", "optim.lr=1e-3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 images to train on, 2 to validate") and lines[-1] == str(Path("run/baseline"))
    assert load_baseline("run/baseline").net.arguments == {"channels": 4}
    assert main(["train", "my.yaml", "-o", "run", "optim.lr=1e-3", "--export-only"]) == 0
    assert main(["train", "my.yaml", "--init", "brain-mr-starter"]) == 2
    assert "init is no option" in capsys.readouterr().err


def test_the_bar_shows_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    from medrestore.cli import train

    bars: list[Any] = []

    class Bar:
        disable, n = False, 0

        def __init__(self, **_: Any) -> None:
            bars.append(self)
            self.words: list[str] = []

        def set_postfix_str(self, words: str, refresh: bool = True) -> None:
            self.words.append(words)

        def update(self, steps: int) -> None:
            self.n += steps

    monkeypatch.setattr("tqdm.tqdm", Bar)
    terminal = train._terminal(100)
    terminal.on_start(Summary(1, 1, 1, "cpu", Path("out"), 0))
    terminal.on_step(4, torch.tensor(0.123456))
    terminal.on_step(8, torch.tensor(0.2))  # too soon to wait for the device again
    assert bars[0].words == ["loss 0.1235"] and bars[0].n == 8
    terminal.read -= train.SECONDS
    terminal.on_step(12, 0.5)
    assert bars[0].words[-1] == "loss 0.5"


def test_tensorboard_shows_pictures(recipe: Path) -> None:
    pytest.importorskip("tensorboardX", reason="TensorBoard is not installed")
    assert run(recipe, "sample_images=16") == 0
    events = b"".join(path.read_bytes() for path in (recipe.parent / "run" / "tensorboard").rglob("*tfevents*"))
    assert events.count(b"samples") >= 2 and events.count(b"denoising") >= 2 and b"\x89PNG" in events


def test_a_classifier_and_a_prior_of_contrasts_with_a_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From YAML to folders that `recon` and `generate` take, on phantoms of two contrasts."""
    source = {"kind": "phantoms", "count": 8, "size": 32, "contrasts": ["T1w", "T2w"], "reference": "T1w"}
    network = {key: value for key, value in TINY["network"].items() if key not in ("in_channels", "out_channels")}
    data = TINY["data"] | {"train": [source], "validation": [source | {"first": 8, "count": 2}], "augment": "complex_mr"}
    told = TINY | {"network": network, "data": data, "conditions": {"labels": True, "reference": True}, "ema_images": [8]}
    encoder = {key: value for key, value in network.items() if key != "up_block_types"}
    judge = {key: value for key, value in TINY.items() if key != "network"} | {"classifier": "encoder", "network": encoder,
                                                                              "data": data}
    for name, given in (("told", told), ("judge", judge)):
        (tmp_path / f"{name}.yaml").write_text(json.dumps(given))
        assert main(["train", str(tmp_path / f"{name}.yaml"), "--out", str(tmp_path / name)]) == 0
    prior, classifier = tmp_path / "told" / "prior", tmp_path / "judge" / "classifier"
    about = describe(prior)
    assert about["classes"] == {"names": ["T1w", "T2w"], "null": True} and about["reference"] == {"channels": 1}
    assert load(prior, label="T2w").reference_channels == 1
    log = (tmp_path / "judge" / "log.csv").read_text().splitlines()
    assert "accuracy_at_0.5" in log[0] and len(log) == 3
    capsys.readouterr()
    words = ["generate", "--prior", str(prior), "--label", "T2w", "--guidance", "1.5", "--classifier", str(classifier),
             "--height", "16", "--width", "16", "--steps", "2", "-o", str(tmp_path / "x.npy")]
    assert main(words) == 0
    assert main(["inspect", str(prior)]) == 0 and "T2w" in capsys.readouterr().out
