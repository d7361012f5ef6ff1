"""Autoencoders are trained, resumed exactly and exported with the scale of their codes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.autoencoders import autoencoder_config, train_waves_autoencoder
from helpers.runs import Recorder, Waves
from safetensors.torch import load_file

from medrestore.datasets.augment import Plain
from medrestore.datasets.base import Crops
from medrestore.errors import InputError
from medrestore.priors import spaces
from medrestore.training import export_last, train
from medrestore.training.task import Stopped

WEIGHTS = "autoencoder/diffusion_pytorch_model.safetensors"
ADVERSARIAL = {"loss__adversarial": 0.1, "loss__adversarial_after": 4, "loss__judge_width": 4}


@pytest.mark.parametrize("changes", [{}, {"autoencoder": "vq", "network__num_vq_embeddings": 8, "weights": "fp16"}, ADVERSARIAL])
def test_it_trains_and_measures_the_scale(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = train_waves_autoencoder(tmp_path / "run", **changes)
    space, config = spaces.load(folder), autoencoder_config(tmp_path / "run", **changes)
    crops = Crops(Waves(), Plain(), seed=config.seed + 2)
    with torch.no_grad():
        codes = space.encode(torch.stack([crops[k, 16] for k in range(4)]))
    assert float(codes.std()) == pytest.approx(1.0, abs=0.01)
    assert {path.name for path in folder.iterdir()} >= {"CARD.md", "config.yaml", "log.csv", "autoencoder.json"}
    card = (folder / "CARD.md").read_text()
    assert "reconstruction PSNR" in card and f"{space.scale:.4g} for a std of 1" in card
    assert spaces.describe(folder)["card"]["images"] == 12


class Stopper(Recorder):
    """Stops a run at its second checkpoint, as a signal does."""

    def on_checkpoint(self, row: Any) -> None:
        super().on_checkpoint(row)
        if row["images"] == 8:
            import os
            import signal

            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("changes", [{}, ADVERSARIAL])
def test_a_stopped_run_resumes_exactly(tmp_path: Path, changes: dict[str, Any]) -> None:
    whole = train_waves_autoencoder(tmp_path / "whole", images=16, **changes)
    with pytest.raises(Stopped, match="run again to continue"):
        train_waves_autoencoder(tmp_path / "part", images=16, callbacks=Stopper(), **changes)
    assert not (tmp_path / "part" / "autoencoder").exists()
    part = train_waves_autoencoder(tmp_path / "part", images=16, **changes)
    one, other = load_file(whole / WEIGHTS), load_file(part / WEIGHTS)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert spaces.load(whole).scale == spaces.load(part).scale


@pytest.mark.slow
def test_it_learns(tmp_path: Path) -> None:
    recorder = Recorder()
    config = autoencoder_config(tmp_path, images=1600, checkpoint_images=800, ema_images=100, optim__decay_images=800,
                                optim__lr=8e-3)
    train(config, images=Waves(count=90), validation=Waves(first=90, count=6), callbacks=recorder)
    first, last = recorder.rows
    assert last["psnr"] > first["psnr"] and last["psnr"] > 8 and last["validation_loss"] < first["validation_loss"]


def test_the_last_checkpoint_is_exported(tmp_path: Path) -> None:
    train_waves_autoencoder(tmp_path)
    config = autoencoder_config(tmp_path)
    assert export_last(config, images=Waves(), validation=Waves(first=12, count=6)) == tmp_path / "autoencoder"


@pytest.mark.parametrize(("changes", "message"), [
    ({"network__in_channels": 3}, "the autoencoder is of 2 and 3 channels and the crops have 2"),
    ({"data__sides": [[18, 1.0]], "network__block_out_channels": [8, 8, 8]}, "sides of 18 pixels do not fit the autoencoder"),
    ({"network__norm_type": "spatial"}, "network cannot be built"),
    ({"network__unheard": 1}, "network cannot be built"),
])
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(autoencoder_config(tmp_path, **changes), images=Waves(), validation=Waves(first=12, count=6))
    assert not (tmp_path / "checkpoints").exists()
