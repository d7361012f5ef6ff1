"""Scans of baselines are functions of their position, and their targets are the fully sampled images."""

import h5py
import pytest
import torch
from helpers.runs import EdgedWaves, Waves, baseline_config, baseline_weights, fit
from helpers.slices import error, maps_of

from medrestore import datasets
from medrestore.baselines import ZeroFilled, load
from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.mri import espirit
from medrestore.training import train
from medrestore.training.baseline_config import Acquisition
from medrestore.training.scans import Scans, load_scans


def test_scans_depend_on_their_position_alone(tmp_path):
    fit(tmp_path / "one")
    fit(tmp_path / "two", data__workers=1)
    assert baseline_weights(tmp_path / "one") == baseline_weights(tmp_path / "two")
    train, _ = load_scans(baseline_config(tmp_path / "three", seed=5, scan={"accels": [[3, 4]]}), EdgedWaves(), EdgedWaves(30, 6))
    first = [train[at, None] for at in (20, 3)]
    again = [train[at, None] for at in (3, 20)][::-1]
    assert all(torch.equal(a.kspace, b.kspace) and a.setting == b.setting for a, b in zip(first, again, strict=True))
    assert len({float(train[at, None].kspace.abs().sum()) for at in range(24)}) == 24  # no scan comes twice


def test_target_is_the_fully_sampled_image():
    acquisition = Acquisition(kinds=("uniform1d",), accels=((1.0, 0),), coils=(3,), snr_db=(120.0, 120.0))
    example = Scans(Waves(), [], acquisition)[0, None]
    assert error(ZeroFilled().reconstruct(example.kspace[None], example.maps[None], example.mask[0]), example.target) < 1e-4
    assert example.target.abs().quantile(0.99).item() == pytest.approx(1, abs=0.02)


def test_simulated_maps_have_the_phase_of_estimated_maps():
    """Or a network would learn images of a phase that it never meets: in the samples only the product is."""
    acquisition = Acquisition(kinds=("uniform1d",), accels=((1.0, 0),), coils=(6,), snr_db=(60.0, 60.0), cut=0.0)
    images = datasets.images({"kind": "phantoms", "count": 3, "size": [64, 56], "seed": 0, "form": "complex"})
    for position in range(3):
        example = Scans(images, [], acquisition)[position, None]
        estimated = espirit(example.kspace[None], mask=example.mask[0])
        shared = (estimated.conj() * example.maps).sum(1)[estimated.abs().sum(1) > 0]  # magnitude 1, and no phase
        assert (shared - 1).abs().square().mean() < 0.02


def volume(path, seed, patient, coils=3):
    """A fully sampled multi-coil volume of two slices of 40 x 36 in fastMRI's form."""
    images = datasets.images({"kind": "phantoms", "count": 2, "size": [40, 36], "seed": seed, "form": "complex"})
    truth = torch.stack([torch.complex(*images[k])[None] for k in range(2)])
    with h5py.File(path, "w") as file:
        file["kspace"] = fft2c(1e-4 * maps_of(40, 36, coils) * truth).numpy()
        file["reconstruction_rss"] = (1e-4 * truth.abs()).numpy()[:, 0]
        file.attrs.update({"patient_id": patient, "acquisition": "AXT1"})


def test_scans_with_measured_coils(tmp_path):
    def source(name):
        return {"kind": "kspace", "files": str(tmp_path / name), "cache": str(tmp_path / "cache")}

    volume(tmp_path / "a.h5", 1, "one")
    volume(tmp_path / "b.h5", 2, "two")
    phantoms = {"kind": "phantoms", "count": 4, "size": 32}
    run = baseline_config(tmp_path / "run", images=4, data__train=[source("a.h5"), phantoms], data__validation=[source("b.h5")])
    load(train(run))
    learned, held_out = load_scans(run)
    assert (len(learned), len(held_out)) == (6, 2) and list((tmp_path / "cache").glob("espirit-*.npy"))
    example = held_out[0, (0, 0)]
    arguments = (example.kspace[None], example.maps[None], example.mask[0])
    assert error(ZeroFilled().reconstruct(*arguments), example.target) > 0.05
    truth = datasets.images(phantoms | {"count": 2, "size": [40, 36], "seed": 2, "form": "complex"})
    pairs = [torch.stack([torch.complex(*truth[k]).abs().flatten(), example.target.abs().flatten()]) for k in range(2)]
    assert max(torch.corrcoef(pair)[0, 1] for pair in pairs) > 0.98
    with pytest.raises(InputError, match="share fastmri"):
        train(baseline_config(tmp_path / "run", data__train=[source("a.h5")], data__validation=[source("a.h5")]))


def test_crops_of_other_contrasts(tmp_path):
    run = baseline_config(tmp_path, data__sides=[16], data__augment="complex_mr", images=4)
    train(run, images=Waves(), validation=Waves(30, 6))
    learned, held_out = load_scans(run, Waves(), Waves(30, 6))
    assert learned[0, None].target.shape == (1, 16, 16) and held_out[0, None].target.shape == (1, 24, 24)
