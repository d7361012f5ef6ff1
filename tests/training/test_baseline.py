"""Trained baselines learn, and their training stops and resumes exactly."""

import json
import signal
from pathlib import Path

import pytest
import torch
import yaml
from helpers.runs import EdgedWaves, Recorder, Waves, baseline_config, baseline_weights, fit
from helpers.slices import error
from helpers.trained import SMALL

from medrestore.baselines import UNet, VarNet, ZeroFilled, load
from medrestore.errors import InputError
from medrestore.metrics import ssim as reference_ssim
from medrestore.training import Callbacks, Stopped, export_last, read, train
from medrestore.training.baseline import reconstruction_loss
from medrestore.training.baseline_config import Loss
from medrestore.training.batches import stream
from medrestore.training.scans import Scans


@pytest.mark.slow
@pytest.mark.parametrize("kind", SMALL)
def test_trained_network_restores_unseen_images_better_than_zero_filling(kind, tmp_path):
    """And so does what it leaves on the disk."""
    recorder = Recorder()
    changes = {"checkpoint_images": 1000, "ema_images": 20, "optim__decay_images": 100, "scan__coils": [3]}
    changes |= {"images": 600, "loss__ssim": 0, "optim__lr": 2e-3} if kind == "unet" else {"images": 100}
    folder = fit(tmp_path, kind, callbacks=recorder, **changes)
    row = recorder.rows[-1]
    assert row["psnr"] > row["zero_filled_psnr"] + (0.2 if kind == "unet" else 0.5)
    assert {"psnr (uniform1d 3x)", "psnr (gaussian2d 3x)"} <= set(row)
    about = json.loads((folder / "baseline.json").read_text())
    assert about["kind"] == kind and about["card"]["images"] == changes["images"] and about["card"]["scan"]["coils"] == [3]
    assert yaml.safe_load((folder / "config.yaml").read_text())["baseline"] == kind
    again = Scans(EdgedWaves(60, 6), [], baseline_config(tmp_path, kind, **changes).scan, plain=True)
    cases = [again[number, (1, 0)] for number in range(4)]
    trained, zero_filled = (
        sum(error(one.reconstruct(case.kspace[None], case.maps[None], case.mask[0]), case.target) for case in cases)
        for one in (load(folder), ZeroFilled())
    )
    assert trained < zero_filled


@pytest.mark.parametrize("kind", SMALL)
def test_stopped_run_resumes_exactly(kind, tmp_path):
    fit(tmp_path / "whole", kind)

    class Stopping(Callbacks):
        def on_step(self, images, loss):
            if images == 10:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped at 10 of 24"):
        fit(tmp_path / "cut", kind, callbacks=Stopping())
    with pytest.raises(InputError, match="allow the run to resume"):
        fit(tmp_path / "cut", kind, resume=False)
    with pytest.raises(InputError, match=r"loss\.l1 was 1\.0 and is 0\.5"):
        fit(tmp_path / "cut", kind, loss__l1=0.5)
    fit(tmp_path / "cut", kind)
    assert baseline_weights(tmp_path / "cut") == baseline_weights(tmp_path / "whole")


def test_slices_of_many_sizes_are_trained_on(tmp_path):
    class Many(EdgedWaves):
        def __getitem__(self, index):
            return super().__getitem__(index)[:1, : 24 - index % 2].abs()

    train(baseline_config(tmp_path, optim__batch=4), images=Many(), validation=Many(30, 6))
    load(tmp_path / "baseline")


def test_loss_has_the_ssim_of_the_metrics():
    random = stream(0, 0)
    image, target = torch.rand(1, 1, 30, 23, generator=random), torch.rand(1, 1, 30, 23, generator=random)
    expected = reference_ssim(image[0], target[0], data_range=float(target.max()))
    loss = reconstruction_loss(image.to(torch.complex64), target.to(torch.complex64), Loss(l1=0.0, ssim=2.0))
    assert float(loss) == pytest.approx(2 - 2 * expected, abs=1e-5)


def test_patients_in_both_parts_are_refused(tmp_path):
    with pytest.raises(InputError, match="share patient"):
        train(baseline_config(tmp_path), images=Waves(), validation=Waves(6, 6))


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"kind": "resnet"}, "baseline must be one of unet, varnet"), ({"images": 0}, "images must be at least 1"),
    ({"scan__kinds": ["spiral"]}, "scan.kinds must be sampling masks .* got 'spiral'"),
    ({"scan__snr_db": [30, 20]}, "scan.snr_db must rise"),
    ({"scan__accels": []}, "scan.accels needs at least one entry"), ({"network": {"width": 3}}, "width is no option"),
    ({"loss": {"l1": 0, "ssim": 0}}, "nothing would be learned"), ({"data__augment": "complex_mr"}, "give data.sides"),
    ({"optim__speed": 1}, "optim.speed is no option"),
])
def test_config_that_cannot_work_is_refused(tmp_path, changes, complaint):
    kind = changes.pop("kind", "unet")
    with pytest.raises(InputError, match=complaint):
        if kind not in SMALL:
            read({"baseline": kind}, "test")
        fit(tmp_path, kind, **changes)
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("name", ["unet", "varnet"])
def test_shipped_recipes_build_networks(name):
    path = Path(__file__).parents[2] / "configs" / "train" / f"{name}.yaml"
    acquisition = read(yaml.safe_load(path.read_text()), path.name)
    assert acquisition.baseline == name and acquisition.card.licence != "not stated"
    {"unet": UNet, "varnet": VarNet}[name](**acquisition.network)


def test_export_of_an_unfinished_run(tmp_path):
    data = {"images": EdgedWaves(), "validation": EdgedWaves(30, 6)}
    with pytest.raises(InputError, match="holds no checkpoints; train first"):
        export_last(baseline_config(tmp_path), **data)
    fit(tmp_path)
    before = baseline_weights(tmp_path)
    export_last(baseline_config(tmp_path, images=500), **data)
    assert baseline_weights(tmp_path) == before


def test_several_processes_are_refused(tmp_path, monkeypatch):
    from medrestore.training import run

    class Two(run.Process):
        def __init__(self, rank, world, device):
            super().__init__(0, 2, device)

    monkeypatch.setattr(run, "Process", Two)
    with pytest.raises(InputError, match=r"a baseline is trained by one process, not by 2"):
        fit(tmp_path)
