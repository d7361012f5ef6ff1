"""Frames of a series: maps and noise of all together, one image to begin from, four axes at the end."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.io import read_kspace, read_provenance
from medrestore.mri import simulate_scan
from medrestore.recon.files import Job, recon_file
from medrestore.recon.frames import Common, pooled_noise
from medrestore.recon.plan import Plan, Writing
from medrestore.recon.preparation import prepare

SHAPE, COILS, NOISE = (32, 28), 4, 0.01
AXES = ("repetition", "slice", "coil", "row", "col")


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """Two slices, three repetitions that brighten; every third column each, no calibration lines of their own."""
    kspace, images = [], []
    for repetition in range(3):
        for slice_ in range(2):
            image, maps, generator = head_and_maps(SHAPE, COILS, slice_)
            generator.manual_seed(10 * repetition + slice_)
            mask = (torch.arange(SHAPE[1]) % 3 == repetition).float()[None]
            image = image * (1 + 0.1 * repetition)
            images.append(image.abs()[0, 0].numpy())
            kspace.append(simulate_scan(image, maps, mask, noise_std=NOISE, generator=generator)[0].numpy())
    folder = tmp_path_factory.mktemp("dynamic")
    np.save(folder / "d.npy", np.stack(kspace).reshape(3, 2, COILS, *SHAPE))
    return folder / "d.npy", np.stack(kspace), np.stack(images).reshape(3, 2, *SHAPE)


def test_maps_are_those_of_all_samples_and_noise_is_that_of_each(dynamic: tuple[Path, np.ndarray, np.ndarray]) -> None:
    with read_kspace(dynamic[0], axes=AXES, separate=("repetition",)) as file:
        frames = [file[index] for index in range(3)]
    plan = Plan("cg-sense", weight=0.01, separate=("repetition",))
    found = Common.of(frames, plan, file_name="d", maps=None, cache=None, device="cpu", reference=None)
    assert found.maps.shape == (1, COILS, *SHAPE) and found.start is None
    assert found.noise is not None and found.noise[0] == pytest.approx(pooled_noise(frames))
    _, maps, _ = head_and_maps(SHAPE, COILS, 0)
    inside = (found.maps != 0).any(1) & (maps != 0).any(1)
    likeness = (found.maps.conj() * maps).sum(1).abs() / maps.abs().square().sum(1).sqrt().clamp(min=1e-6)
    assert float(likeness[inside].median()) > 0.99
    one = prepare(frames[1], plan, maps=found.maps, noise=found.noise)
    assert one.noise_source.startswith("the data of 3 frames")


def test_repetitions_begin_from_all_samples_and_contrasts_do_not(dynamic: tuple[Path, np.ndarray, np.ndarray]) -> None:
    with read_kspace(dynamic[0], axes=AXES, separate=("repetition",)) as file:
        frames = [file[index] for index in range(3)]
    common = dict(file_name="d", maps=None, cache=None, device="cpu", reference=None)
    moving, echoes = (Common.of(frames, Plan("hqs", start_sigma=0.5, separate=(name,)), **common)
                      for name in ("repetition", "contrast"))
    assert echoes.start is None and moving.start is not None
    truth = torch.from_numpy(dynamic[2][:, 0].mean(0))
    scale = (moving.start.abs()[0, 0] * truth).sum() / truth.square().sum()
    assert float((moving.start.abs()[0, 0] / scale - truth).square().mean().sqrt()) < 0.1 * float(truth.max())


def test_frames_are_images_of_their_own_on_a_fourth_axis(dynamic: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    path = dynamic[0]
    said: list[str] = []
    plan = Plan("cg-sense", weight=0.01, separate=("repetition",), axes=AXES)
    recon_file(path, tmp_path / "out.h5", Job(plan, None, {"sha256": ""}, writing=Writing(nifti=True), say=said.append))
    image = nibabel.load(tmp_path / "out.nii.gz")
    assert image.shape == (*SHAPE, 2, 3) and "2 of 2 slices of 3 frames" in said[0]
    found = np.asarray(image.dataobj)
    brightness = found.sum((0, 1))
    assert (np.diff(brightness) > 0.03 * brightness[:, :1]).all()
    made = read_provenance(tmp_path / "out.h5")
    assert made["frames"] == [{"repetition": 0}, {"repetition": 1}, {"repetition": 2}] and len(made["misfit"]) == 6


def test_slices_are_counted_and_not_frames(dynamic: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    plan = Plan("cg-sense", weight=0.01, separate=("repetition",), axes=AXES, slices=(1, 2))
    recon_file(dynamic[0], tmp_path / "out.h5", Job(plan, None, {"sha256": ""}))
    assert len(read_provenance(tmp_path / "out.h5")["misfit"]) == 3
    with pytest.raises(InputError, match="has slices 0 to 1"):
        recon_file(dynamic[0], tmp_path / "other.h5", Job(replace(plan, slices=(0, 3)), None, {"sha256": ""}))


def test_a_frame_without_samples_is_named_by_its_slice(dynamic: tuple[Path, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    stored = np.stack(3 * [np.load(dynamic[0]).sum(0)])  # of all columns
    stored[2, 1] = 0
    np.save(tmp_path / "d.npy", stored)
    said: list[str] = []
    plan = Plan("cg-sense", weight=0.01, separate=("repetition",), axes=AXES)
    recon_file(tmp_path / "d.npy", tmp_path / "out.h5", Job(plan, None, {"sha256": ""}, say=said.append))
    assert "d.npy: nothing was measured in slice 1 frame 2; the image is zero there" in said
