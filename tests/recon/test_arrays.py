"""k-space in memory: the same images as from a file, and one sentence for what cannot be k-space."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.scans import kspace

import medrestore as mr
from medrestore.cli.main import main
from medrestore.io import read_reconstruction

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
