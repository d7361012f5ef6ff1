"""What does not look like k-space is doubted; noise, few lines and odd slices are not."""

import numpy as np
import pytest
import torch
from helpers.arrays import DATA, complex_normal, real
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.fft import fft2c, ifft2c
from medrestore.io import read_kspace
from medrestore.io.kspace.plausible import doubt, is_noise, slices_doubt
from medrestore.mri import sampling_mask


@pytest.fixture(scope="module")
def kspace():
    """(coil, height, width) of a head with oversampling in neither direction."""
    image, maps, _ = head_and_maps((96, 80), 6, seed=3)
    return fft2c(maps * image)[0] + 0.01 * torch.from_numpy(complex_normal(0, 6, 96, 80))


def test_kspace_passes_full_and_undersampled(kspace):
    assert doubt(kspace) is None and doubt(kspace[:1]) is None
    for kind in ("uniform1d", "gaussian2d", "poisson2d"):
        for accel in (4, 10):
            assert doubt(kspace * sampling_mask(kind, (96, 80), accel, seed=1).mask) is None, kind


def test_slices_that_say_nothing_pass(kspace):
    assert doubt(torch.zeros(4, 32, 32, dtype=torch.complex64)) is None
    for seed in range(20):
        assert doubt(torch.from_numpy(complex_normal(seed, 1, 40, 32))) is None
        assert doubt(torch.from_numpy(complex_normal(seed, 24, 16, 12))) is None
    assert doubt(kspace + 30 * torch.from_numpy(complex_normal(1, 6, 96, 80))) is None  # hardly any signal
    assert doubt(kspace.roll((3, -4), (-2, -1))) is None  # an echo that is not quite centred
    assert doubt(kspace * (torch.arange(96) > 30)[:, None]) is None  # an asymmetric echo
    assert doubt(kspace * (torch.arange(80) % 3 == 0)) is None  # every third line, the centre not among them
    spike = kspace.clone()
    spike[2, 5, 70] = 0.5 * kspace.abs().max()
    assert doubt(spike) is None


def test_magnitudes_stored_as_complex_numbers(kspace):
    assert "magnitudes alone" in doubt(kspace.abs() + 0j).what
    assert doubt(kspace.real + 0j) is None  # that of an image with a symmetry


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_uncentred_kspace(kspace, noise):
    found = doubt(torch.fft.ifftshift(kspace + noise * torch.from_numpy(complex_normal(2, 6, 96, 80)), dim=(-2, -1)))
    assert "in a corner, as an FFT without fftshift leaves it" in found.what and "`uncentred`" in found.remedy
    masked = torch.fft.ifftshift(kspace * sampling_mask("uniform1d", (96, 80), 3, seed=0).mask, dim=(-2, -1))
    assert "corner" in doubt(masked).what


def test_a_peak_elsewhere(kspace):
    found = doubt(kspace.roll(20, -1))  # lines of a partial Fourier scan that were not padded
    assert "peak lies at (48, 60)" in found.what and "centre is at n // 2" in found.remedy
    assert "peak lies at (0, 40)" in doubt(torch.fft.ifftshift(kspace, dim=-2)).what


def test_axes_of_coils_and_rows_exchanged(kspace):
    coils_last = kspace.permute(1, 2, 0)
    found = doubt(coils_last)
    assert "96 coils of 80 x 6" in found.what and "'col'" in found.what and "`axes`" in found.remedy
    assert "80 coils of 6 x 96" in doubt(kspace.permute(2, 0, 1)).what
    compressed = kspace.repeat(6, 1, 1) * torch.linspace(2, 0.1, 36)[:, None, None]  # the first ones are strong
    assert doubt(compressed) is None


def test_images_and_half_transformed_data(kspace):
    assert "along 'row' and 'col' it is an image" in doubt(ifft2c(kspace)).what
    assert "along 'row' it is an image" in doubt(ifft2c(kspace, axes=(-2,))).what
    assert "along 'col' it is an image" in doubt(ifft2c(kspace, axes=(-1,))).what


def test_slices_that_are_a_third_direction_of_kspace(tmp_path, kspace):
    assert slices_doubt((100.0, 2.0, 1.0)) is not None and slices_doubt((100.0, 20.0, 1.0)) is None
    volume = torch.stack([kspace[:2] * (8 < index < 24) for index in range(32)])
    np.save(tmp_path / "v.npy", volume.numpy())
    assert read_kspace(tmp_path / "v.npy")[16].kspace.any()
    np.save(tmp_path / "k.npy", torch.fft.fftshift(torch.fft.fft(volume, dim=0), dim=0).numpy())
    with pytest.raises(InputError, match=r"slice 3 does not .* its slices are a third direction of k-space.*transform it"):
        read_kspace(tmp_path / "k.npy")[3]


@real
def test_real_scans_pass_and_their_wrong_axes_do_not():
    scans = {"brain_8ch_poisson/cartesian_ksp.npy": {}, "brain_8ch_pics/ksp.cfl": {}, "phantom_2ch_twix/gre.dat": {},
             "brain_16ch_full/raw_data.mat": {"dataset": "raw", "axes": ("coil", "slice", "col", "row")}}
    for name, how in scans.items():
        with read_kspace(DATA / name, **how) as file:
            assert file.doubt(0) is None and file[0].kspace.any(), name
    with read_kspace(DATA / "brain_16ch_full/raw_data.mat", dataset="raw", axes=("row", "slice", "col", "coil")) as file:
        assert "96 coils of 16 x 96" in file.doubt(0)


def test_the_advice_works(tmp_path, kspace):
    """What each sentence says to do makes the file readable, and right."""
    array = kspace.numpy()
    np.save(tmp_path / "corner.npy", np.fft.ifftshift(array, axes=(-2, -1)))
    np.save(tmp_path / "last.npy", array.transpose(1, 2, 0))
    np.save(tmp_path / "image.npy", ifft2c(kspace).numpy())
    for name, how, advice in (("corner", {"uncentred": True}, "pass `uncentred`"),
                              ("last", {"axes": ("row", "col", "coil")}, "by `axes`"),
                              ("image", {}, r"transform it by medrestore\.fft\.fft2c")):
        with pytest.raises(InputError, match=rf"{name}\.npy: slice 0 does not look like .*{advice}.*or pass `implausible`"):
            read_kspace(tmp_path / f"{name}.npy")[0]
        assert read_kspace(tmp_path / f"{name}.npy", implausible=True)[0].kspace.any()
        if name == "image":
            np.save(tmp_path / "image.npy", fft2c(torch.from_numpy(np.load(tmp_path / "image.npy"))).numpy())
        torch.testing.assert_close(read_kspace(tmp_path / f"{name}.npy", **how)[0].kspace[0], kspace, rtol=1e-4, atol=1e-4)


def test_noise_alone_is_told_from_an_object_in_noise() -> None:
    noise = complex_normal(5, 4, 32, 24)
    index = torch.arange(32)[:, None] - 16, torch.arange(24)[None] - 12
    lines = (torch.arange(24) % 3 == 0) | ((torch.arange(24) - 12).abs() < 3)
    peak = 4 * torch.exp(-(index[0] ** 2 + index[1] ** 2) / 8.0)
    noise = torch.from_numpy(noise)
    assert is_noise(noise) and is_noise(noise * lines) and not is_noise(noise + peak) and not is_noise((noise + peak) * lines)
    assert not is_noise(torch.zeros_like(noise))
