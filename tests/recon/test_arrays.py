"""k-space in memory: the same images as from a file, and one sentence for what cannot be k-space."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.phantom import head_and_maps
from helpers.scans import kspace

import medrestore as mr
from medrestore.cli.main import main
from medrestore.errors import InputError
from medrestore.io import read_provenance, read_reconstruction
from medrestore.mri import radial
from medrestore.operators import NonCartesianSense

LINES = np.zeros(40, np.float32)
LINES[::2] = 1
LINES[14:26] = 1
PLAN: dict[str, Any] = {"steps": 2, "noise_std": 0.01}


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    return (kspace(2)[0] * LINES).astype(np.complex64)


def test_the_images_are_those_of_the_command(data: np.ndarray, tmp_path: Path, tiny_prior: Path) -> None:
    np.save(tmp_path / "scan.npy", data)
    words = ["recon", str(tmp_path / "scan.npy"), "-o", str(tmp_path / "image.h5"), "--prior", str(tiny_prior), "--steps", "2",
             "--noise-std", "0.01", "--maps-cache", "none", "--axes", "slice,coil,row,col"]
    assert main(words) == 0
    result = mr.reconstruct(data, prior=tiny_prior, **PLAN)
    assert result.image.shape == (2, 48, 40) and result.image.dtype == np.complex64 and result.misfit.shape == (2,)
    with read_reconstruction(tmp_path / "image.h5") as images:
        for index in range(2):
            assert torch.equal(torch.from_numpy(result.image[index]).abs(), images[index])


def test_a_slice_a_volume_and_a_tensor_agree(data: np.ndarray, tiny_prior: Path) -> None:
    volume = mr.reconstruct(data, LINES, prior=tiny_prior, **PLAN)
    slice_ = mr.reconstruct(torch.from_numpy(data[0]), prior=tiny_prior, **PLAN)
    assert isinstance(slice_.image, torch.Tensor) and slice_.image.shape == (48, 40) and slice_.misfit.ndim == 0
    assert np.array_equal(volume.image[0], slice_.image.numpy())
    assert "Reconstruction(image (48, 40), 1 samples" in repr(slice_)


def test_a_mask_takes_samples_away(data: np.ndarray, tiny_prior: Path) -> None:
    fewer = LINES.copy()
    fewer[2] = 0
    result = mr.reconstruct(data[0], fewer, prior=tiny_prior, **PLAN)
    assert float(result.slices[0].prepared.sampling.mask.sum()) == fewer.sum()
    assert not np.array_equal(result.zero_filled, mr.reconstruct(data[0], prior=tiny_prior, **PLAN).zero_filled)


def test_given_maps_and_noise_are_used(data: np.ndarray, tiny_prior: Path) -> None:
    first = mr.reconstruct(data[0], prior=tiny_prior, **PLAN).slices[0].prepared
    maps = first.sense.maps[0].numpy()
    noise = np.random.default_rng(0).normal(0, 0.01, (4, 500, 2)).view(np.complex128)[..., 0]
    result = mr.reconstruct(data[0], maps=maps, noise=noise, prior=tiny_prior, steps=2).slices[0].prepared
    assert "noise scan" in result.noise_source
    plain = mr.reconstruct(data[0], maps=maps, prior=tiny_prior, **PLAN).slices[0].prepared
    assert torch.allclose(plain.sense.maps[0], first.sense.maps[0], atol=1e-6)


@pytest.mark.parametrize(("change", "sentence"), [
    ({"kspace": [[1.0]]}, "NumPy array or a tensor"),
    ({"kspace": np.ones((48, 40), np.complex64)}, r"\(coil, height, width\)"),
    ({"kspace": np.ones((4, 48, 40), np.float32)}, "must be complex"),
    ({"kspace": np.full((4, 48, 40), np.nan, np.complex64)}, "not finite"),
    ({"kspace": np.zeros((4, 48, 40), np.complex64)}, "zero everywhere"),
    ({"mask": np.ones(41)}, r"mask must be \(40,\) or \(48, 40\)"),
    ({"mask": np.full(40, 0.5)}, "0 and 1 alone"),
    ({"mask": np.zeros(40)}, "has no sample"),
    ({"maps": np.ones((3, 48, 40), np.complex64)}, "shaped like kspace"),
    ({"noise": np.ones((3, 10), np.complex64)}, "4 coils"),
    ({"stepz": 3}, "did you mean steps"),
    ({"steps": 1}, "steps must be at least 2"),
    ({"slices": (0, 1)}, "select from the arrays"),
    ({"prior": "surgical-starter"}, "2 channels|channels, and a complex image"),
])
def test_what_cannot_be_reconstructed_is_refused(data: np.ndarray, tiny_prior: Path, change: dict[str, Any],
                                                  sentence: str) -> None:
    arguments = {"kspace": data[0], "prior": tiny_prior, **PLAN, **change}
    with pytest.raises(mr.InputError, match=sentence):
        mr.reconstruct(arguments.pop("kspace"), **arguments)


def test_layouts_that_cannot_be_are_refused(data: np.ndarray, tiny_prior: Path) -> None:
    corner = np.fft.ifftshift(kspace(1)[0][0], axes=(-2, -1))
    with pytest.raises(mr.InputError, match=r"does not look like k-space, its peak .* in a corner.*pass `uncentred`"):
        mr.reconstruct(corner, prior=tiny_prior, **PLAN)
    right = mr.reconstruct(corner, prior=tiny_prior, uncentred=True, **PLAN)
    assert np.array_equal(right.image, mr.reconstruct(kspace(1)[0][0], prior=tiny_prior, **PLAN).image)
    with pytest.raises(mr.InputError, match=r"40 coils of 4 x 48.*`axes`"):
        mr.reconstruct(data[0].transpose(2, 0, 1), prior=tiny_prior, **PLAN)


def radial_samples() -> tuple[np.ndarray, np.ndarray]:
    """(coil, readout, sample) and their (readout, sample, 2)."""
    image, maps, random = head_and_maps((48, 40), 4, 0)
    trajectory = radial(30, (48, 40))
    y = NonCartesianSense(maps, trajectory, torch.ones(trajectory.shape[:2]))(image.to(torch.complex64))
    y = y + 0.01 * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    return y[0].numpy(), trajectory.numpy()


def test_samples_along_a_trajectory(tmp_path: Path, tiny_prior: Path) -> None:
    """The images are those of the command, whatever the units; and a second run of it is known as done."""
    samples, trajectory = radial_samples()
    result = mr.reconstruct(samples, trajectory=trajectory, prior=tiny_prior, matrix=(48, 40), **PLAN)
    assert result.image.shape == (48, 40) and result.slices[0].prepared.sense.kind == "NonCartesianSense"
    np.save(tmp_path / "k.npy", samples[None])
    np.save(tmp_path / "t.npy", trajectory / np.array([48, 40]))
    words = ["recon", str(tmp_path / "k.npy"), "--trajectory", str(tmp_path / "t.npy"), "--matrix", "48,40",
             "-o", str(tmp_path / "image.h5"), "--prior", str(tiny_prior), "--steps", "2", "--noise-std", "0.01",
             "--maps-cache", "none"]
    assert main(words) == 0
    with read_reconstruction(tmp_path / "image.h5") as images:
        torch.testing.assert_close(images[0], torch.from_numpy(result.image).abs(), rtol=1e-3, atol=1e-4)
    made = read_provenance(tmp_path / "image.h5")
    assert made["sampling"]["kind"] == "along a trajectory" and made["trajectory_fingerprint"]
    assert made["config"]["trajectory"] == "t.npy" and "taken as cycles per pixel" in " ".join(made["notes"])
    assert main([*words, "--resume"]) == 0
    np.save(tmp_path / "t.npy", trajectory)
    assert main(["recon", "--from", str(tmp_path / "image.h5"), "-o", str(tmp_path / "again.h5")]) == 2


@pytest.mark.parametrize(("change", "sentence"), [
    ({"trajectory": np.zeros((30, 7, 2))}, r"trajectory must be real, finite and \(readout, sample, 2\)"),
    ({"mask": np.ones(40)}, "mask must be"), ({"matrix": (8, 8)}, "beyond what an image of 8 x 8 pixels resolves"),
    ({"trajectory_units": "cycles-per-pixel", "matrix": (48, 40)}, "beyond the edge of k-space in cycles per pixel"),
])
def test_trajectories_that_do_not_fit(change: dict[str, Any], sentence: str, tiny_prior: Path) -> None:
    samples, trajectory = radial_samples()
    with pytest.raises(InputError, match=sentence):
        mr.reconstruct(samples, **{"trajectory": trajectory, "prior": tiny_prior} | PLAN | change)


def test_a_trajectory_in_another_order(tiny_prior: Path) -> None:
    samples, trajectory = radial_samples()
    with pytest.raises(InputError, match="does not look like k-space, its strongest samples lie"):
        mr.reconstruct(samples, trajectory=np.roll(trajectory, 48, 1), prior=tiny_prior, **PLAN)
