"""Trained baselines: networks of any size of slice, weights that are checked, and training that learns and goes on exactly."""

import json
import signal
from pathlib import Path

import h5py
import pytest
import torch
import yaml
from helpers.slices import blocks, error, maps_of, scan
from helpers.trained import SMALL, network

from medrestore import datasets
from medrestore.baselines import Supervised, UNet, VarNet, ZeroFilled, load
from medrestore.cli.main import main
from medrestore.codecs import CalibratedComplex
from medrestore.datasets.base import Images
from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.metrics import ssim as reference_ssim
from medrestore.mri import espirit
from medrestore.settings import assign
from medrestore.training import Stopped, Watch, scans, supervised
from medrestore.training.batches import stream


class Waves(Images):
    """Smooth complex images of 24 x 24 pixels with an edge, three to a patient."""

    channels = 2
    recipe = CalibratedComplex()

    def __init__(self, first=0, count=12):
        self.first, self.count = first, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        phase = torch.rand(2, 1, 1, generator=torch.Generator().manual_seed(self.first + index)) * 6
        image = 0.7 * (phase + torch.linspace(0, 4, 24)).sin().expand(2, 24, 24).clone()
        image[:, 14:] *= 0.3
        return image

    def group(self, index):
        return f"patient {(self.first + index) // 3}"


def config(out, kind="unet", **changes):
    given = {
        "baseline": kind, "out": str(out), "seed": 3, "network": SMALL[kind], "data": {"validation_scans": 1},
        "scan": {"kinds": ["uniform1d", "gaussian2d"], "accels": [[3, 4]], "masks": 4, "coils": [2, 3]},
        "optim": {"lr": 5e-3, "batch": 2, "warmup_images": 4, "decay_images": 16}, "images": 24, "ema_images": 6,
        "checkpoint_images": 8,
    }
    for key, value in changes.items():
        assign(given, key.replace("__", "."), value)
    return supervised.read(given, "test")


def fit(out, kind="unet", **changes):
    options = {name: changes.pop(name) for name in ("watch", "resume") if name in changes}
    return supervised.fit(config(out, kind, **changes), images=Waves(), validation=Waves(30, 6), **options)


def weights(out):
    return (Path(out) / "baseline" / "weights.safetensors").read_bytes()


class Diary(Watch):
    def __init__(self):
        self.rows = []

    def checkpoint(self, row):
        self.rows.append(dict(row))


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize(("height", "width", "coils"), [(33, 26, 3), (16, 47, 4), (9, 12, 1)])
@pytest.mark.parametrize("axes", [1, 2])
def test_any_size_mask_and_number_of_coils(kind, height, width, coils, axes):
    maps = maps_of(height, width, coils)
    mask = torch.zeros(1, width) if axes == 1 else torch.zeros(height, width)
    mask[..., ::2] = 1
    rows = slice(None) if axes == 1 else slice(height // 2 - 2, height // 2 + 2)
    mask[rows, width // 2 - 2 : width // 2 + 2] = 1
    kspace = fft2c(maps * blocks(height, width)) * mask
    baseline = Supervised(network(kind))
    found = baseline.reconstruct(kspace, maps, mask)
    assert found.shape == (1, 1, height, width) and found.dtype == torch.complex64 and torch.isfinite(found).all()
    assert torch.allclose(1e5 * found, baseline.reconstruct(1e5 * kspace, maps, mask), rtol=1e-3, atol=10)
    noisy = kspace + 100 * (1 - mask)
    assert torch.allclose(found, baseline.reconstruct(noisy, maps, mask), atol=1e-5)  # what is not sampled is ignored
    assert not baseline.reconstruct(0 * kspace, maps, mask).any()


@pytest.mark.parametrize("kind", SMALL)
def test_a_new_network_is_the_zero_filled_image(kind):
    kspace, maps, mask, _ = scan(31, 26)
    found = Supervised(network(kind, trained=False)).reconstruct(kspace, maps, mask)
    assert torch.allclose(found, ZeroFilled().reconstruct(kspace, maps, mask), atol=1e-5)


@pytest.mark.parametrize(("kind", "arguments"), [("unet", {"channels": 0}), ("unet", {"channels": 10**9}),
                                                 ("varnet", {"cascades": 0}), ("varnet", {"cascades": 10**6})])
def test_networks_that_make_no_sense_are_refused(kind, arguments):
    with pytest.raises(InputError, match="cannot be built"):
        {"unet": UNet, "varnet": VarNet}[kind](**arguments)


@pytest.mark.parametrize("kind", SMALL)
def test_it_learns(kind, tmp_path):
    """On images that it has not seen; what it leaves restores better than the zero-filled image."""
    diary = Diary()
    changes = {"checkpoint_images": 1000, "ema_images": 20, "optim__decay_images": 100, "scan__coils": [3]}
    changes |= {"images": 600, "loss__ssim": 0, "optim__lr": 2e-3} if kind == "unet" else {"images": 100}
    folder = fit(tmp_path, kind, watch=diary, **changes)
    row = diary.rows[-1]
    assert row["psnr"] > row["zero_filled_psnr"] + (0.2 if kind == "unet" else 0.5)
    assert {"psnr (uniform1d 3x)", "psnr (gaussian2d 3x)"} <= set(row)
    about = json.loads((folder / "baseline.json").read_text())
    assert about["kind"] == kind and about["card"]["images"] == changes["images"] and about["card"]["scan"]["coils"] == [3]
    assert yaml.safe_load((folder / "config.yaml").read_text())["baseline"] == kind
    again = scans.Scans(Waves(60, 6), [], config(tmp_path, kind, **changes).scan, plain=True)
    cases = [again[number, (1, 0)] for number in range(4)]
    found, zero_filled = (
        sum(error(one.reconstruct(case.kspace[None], case.maps[None], case.mask[0]), case.target) for case in cases)
        for one in (load(folder), ZeroFilled())
    )
    assert found < zero_filled


@pytest.mark.parametrize("kind", SMALL)
def test_a_run_that_was_stopped_goes_on_exactly(kind, tmp_path):
    fit(tmp_path / "whole", kind)

    class Stopping(Watch):
        def seen(self, images):
            if images == 10:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped, match="stopped at 10 of 24"):
        fit(tmp_path / "cut", kind, watch=Stopping())
    with pytest.raises(InputError, match="--resume never"):
        fit(tmp_path / "cut", kind, resume=False)
    with pytest.raises(InputError, match=r"loss\.l1 was 1\.0 and is 0\.5"):
        fit(tmp_path / "cut", kind, loss__l1=0.5)
    fit(tmp_path / "cut", kind)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_scans_are_the_same_from_workers_and_at_any_position(tmp_path):
    fit(tmp_path / "one")
    fit(tmp_path / "two", data__workers=1)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    train, _ = (scans.gather(scans.Material(), scans.Acquisition(accels=((3.0, 4),)), 5, images=Waves(), validation=Waves(30, 6)))
    first = [train[at, None] for at in (20, 3)]
    again = [train[at, None] for at in (3, 20)][::-1]
    assert all(torch.equal(a.kspace, b.kspace) and a.setting == b.setting for a, b in zip(first, again, strict=True))
    assert len({float(train[at, None].kspace.abs().sum()) for at in range(24)}) == 24  # no scan comes twice


def test_slices_of_many_sizes_train_together(tmp_path):
    class Many(Waves):
        def __getitem__(self, index):
            return super().__getitem__(index)[:1, : 24 - index % 2].abs()

    supervised.fit(config(tmp_path, optim__batch=4), images=Many(), validation=Many(30, 6))
    load(tmp_path / "baseline")


def test_the_target_is_what_full_sampling_would_show():
    told = scans.Acquisition(kinds=("uniform1d",), accels=((1.0, 0),), coils=(3,), snr_db=(120.0, 120.0))
    case = scans.Scans(Waves(), [], told)[0, None]
    assert error(ZeroFilled().reconstruct(case.kspace[None], case.maps[None], case.mask[0]), case.target) < 1e-4
    assert case.target.abs().quantile(0.99).item() == pytest.approx(1, abs=0.02)


def test_simulated_maps_have_the_phase_of_estimated_ones():
    """Or a network would learn images of a phase that it never meets: in the samples only the product is."""
    told = scans.Acquisition(kinds=("uniform1d",), accels=((1.0, 0),), coils=(6,), snr_db=(60.0, 60.0), cut=0.0)
    images = datasets.images({"kind": "phantoms", "count": 3, "size": [64, 56], "seed": 0, "form": "complex"})
    for position in range(3):
        case = scans.Scans(images, [], told)[position, None]
        estimated = espirit(case.kspace[None], mask=case.mask[0])
        shared = (estimated.conj() * case.maps).sum(1)[estimated.abs().sum(1) > 0]  # magnitude 1, and no phase
        assert (shared - 1).abs().square().mean() < 0.02


def volume(path, seed, patient, coils=3):
    """A fully sampled multi-coil volume of two slices of 40 x 36 in fastMRI's form."""
    images = datasets.images({"kind": "phantoms", "count": 2, "size": [40, 36], "seed": seed, "form": "complex"})
    truth = torch.stack([torch.complex(*images[k])[None] for k in range(2)])
    with h5py.File(path, "w") as file:
        file["kspace"] = fft2c(1e-4 * maps_of(40, 36, coils) * truth).numpy()
        file["reconstruction_rss"] = (1e-4 * truth.abs()).numpy()[:, 0]
        file.attrs.update({"patient_id": patient, "acquisition": "AXT1"})


def test_scans_with_their_own_coils(tmp_path):
    def source(name):
        return {"kind": "kspace", "files": str(tmp_path / name), "cache": str(tmp_path / "cache")}

    volume(tmp_path / "a.h5", 1, "one")
    volume(tmp_path / "b.h5", 2, "two")
    phantoms = {"kind": "phantoms", "count": 4, "size": 32}
    told = config(tmp_path / "run", images=4, data__train=[source("a.h5"), phantoms], data__validation=[source("b.h5")])
    load(supervised.fit(told))
    train, held_out = scans.gather(told.data, told.scan, 0)
    assert (len(train), len(held_out)) == (6, 2) and list((tmp_path / "cache").glob("espirit-*.npy"))
    case = held_out[0, (0, 0)]
    arguments = (case.kspace[None], case.maps[None], case.mask[0])
    assert error(ZeroFilled().reconstruct(*arguments), case.target) > 0.05
    truth = datasets.images(phantoms | {"count": 2, "size": [40, 36], "seed": 2, "form": "complex"})
    pairs = [torch.stack([torch.complex(*truth[k]).abs().flatten(), case.target.abs().flatten()]) for k in range(2)]
    assert max(torch.corrcoef(pair)[0, 1] for pair in pairs) > 0.98
    with pytest.raises(InputError, match="share fastmri"):
        supervised.fit(config(tmp_path / "run", data__train=[source("a.h5")], data__validation=[source("a.h5")]))


def test_crops_of_other_contrasts(tmp_path):
    told = config(tmp_path, data__sides=[16], data__augment="complex_mr", images=4)
    supervised.fit(told, images=Waves(), validation=Waves(30, 6))
    train, held_out = scans.gather(told.data, told.scan, 0, images=Waves(), validation=Waves(30, 6))
    assert train[0, None].target.shape == (1, 16, 16) and held_out[0, None].target.shape == (1, 24, 24)


def test_the_loss_has_the_similarity_of_the_metrics():
    random = stream(0, 0)
    image, target = torch.rand(1, 1, 30, 23, generator=random), torch.rand(1, 1, 30, 23, generator=random)
    expected = reference_ssim(image[0], target[0], data_range=float(target.max()))
    assert float(supervised.ssim(image, target)) == pytest.approx(expected, abs=1e-5)


def test_patients_in_both_parts_are_refused(tmp_path):
    with pytest.raises(InputError, match="share patient"):
        supervised.fit(config(tmp_path), images=Waves(), validation=Waves(6, 6))


@pytest.mark.parametrize(("changes", "complaint"), [
    ({"kind": "resnet"}, "baseline must be one of unet, varnet"), ({"images": 0}, "images must be positive"),
    ({"scan__kinds": ["spiral"]}, "no sampling mask 'spiral'"), ({"scan__snr_db": [30, 20]}, "snr_db rises"),
    ({"scan__accels": []}, "at least one entry"), ({"network": {"width": 3}}, "no setting 'width'"),
    ({"loss": {"l1": 0, "ssim": 0}}, "nothing would be learned"), ({"data__augment": "complex_mr"}, "give data.sides"),
    ({"optim__speed": 1}, "optim.speed is no option"),
])
def test_a_config_that_cannot_work_is_refused(tmp_path, changes, complaint):
    kind = changes.pop("kind", "unet")
    with pytest.raises(InputError, match=complaint):
        if kind not in SMALL:
            supervised.read({"baseline": kind}, "test")
        fit(tmp_path, kind, **changes)
    assert not (tmp_path / "checkpoints").exists()


def test_the_command_trains_a_baseline(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phantoms = {"kind": "phantoms", "size": 32, "form": "complex"}
    recipe = {"baseline": "unet", "network": SMALL["unet"], "images": 4, "checkpoint_images": 4,
              "data": {"train": [phantoms | {"count": 4}], "validation": [phantoms | {"count": 2, "first": 4}],
                       "validation_scans": 1},
              "scan": {"kinds": ["uniform1d"], "accels": [[3, 4]], "coils": [2]}}
    Path("my.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["train", "my.yaml", "-o", "run", "optim.lr=1e-3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 images to train on, 2 to validate") and lines[-1] == str(Path("run/baseline"))
    assert load("run/baseline").net.arguments == SMALL["unet"]
    assert main(["train", "my.yaml", "-o", "run", "optim.lr=1e-3", "--export-only"]) == 0
    assert main(["train", "my.yaml", "--init", "brain-mr-starter"]) == 2
    assert "init is no option" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["unet", "varnet"])
def test_the_shipped_recipes_make_networks(name):
    path = Path(__file__).parents[2] / "configs" / "train" / f"{name}.yaml"
    told = supervised.read(yaml.safe_load(path.read_text()), path.name)
    assert told.baseline == name and told.card.licence != "not stated"
    {"unet": UNet, "varnet": VarNet}[name](**told.network)
