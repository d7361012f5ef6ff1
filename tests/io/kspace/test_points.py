"""Arrays with a trajectory beside them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.operators import full
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.io import inspect_file, read_cartesian, read_kspace
from medrestore.io.kspace.points import PairFile
from medrestore.mri import radial
from medrestore.operators import NonCartesianSense

SIZE = (24, 24)
SPOKES = radial(20, SIZE)


def samples(coils: int = 3) -> np.ndarray:
    """(coil, readout, sample)."""
    image, maps, _ = head_and_maps(SIZE, coils, 0)
    return NonCartesianSense(maps, SPOKES, full(SPOKES))(image.to(torch.complex64))[0].numpy()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    np.save(tmp_path / "k.npy", samples())
    np.save(tmp_path / "t.npy", SPOKES.numpy())
    return tmp_path / "k.npy", tmp_path / "t.npy"


def test_a_pair(pair: tuple[Path, Path]) -> None:
    with read_kspace(pair[0], trajectory=pair[1]) as file:
        assert isinstance(file, PairFile) and file.shape == (1, 3, 24, 24) and "along a trajectory" in file.kind
        scan = file[0]
    assert scan.kspace.shape == (1, 3, 20, 48) and scan.shape == scan.crop == scan.grid == SIZE
    assert scan.trajectory is not None
    torch.testing.assert_close(scan.trajectory, SPOKES)
    torch.testing.assert_close(scan.kspace[0], torch.from_numpy(samples()))
    assert bool((scan.mask == 1).all())


def test_bart_and_turned_arrays(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    data = samples().transpose(2, 1, 0)[None]  # (1, sample, readout, coil)
    bart = np.concatenate([SPOKES.numpy(), 0 * SPOKES.numpy()[..., :1]], -1).transpose(2, 1, 0)
    for name, array in (("k", data), ("t", bart)):
        (tmp_path / f"{name}.hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
        array.astype(np.complex64).ravel(order="F").tofile(tmp_path / f"{name}.cfl")
    with read_kspace(tmp_path / "k.cfl", trajectory=tmp_path / "t.cfl") as file:
        torch.testing.assert_close(file[0].kspace[0], torch.from_numpy(samples()))
    np.save(tmp_path / "turned.npy", samples().transpose(0, 2, 1))
    with read_kspace(tmp_path / "turned.npy", trajectory=pair[1]) as file:
        torch.testing.assert_close(file[0].kspace[0], torch.from_numpy(samples()))


def test_what_is_said_of_it(pair: tuple[Path, Path]) -> None:
    facts = inspect_file(pair[0], trajectory=pair[1])
    assert "20 readouts of 48 samples, to 12 cycles" in facts["sampling"] and facts["plausible"] == "yes"
    assert facts["image"] == "24 x 24"


def test_samples_and_trajectory_in_another_order(pair: tuple[Path, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "rolled.npy", np.roll(SPOKES.numpy(), 24, 1))
    with read_kspace(pair[0], trajectory=tmp_path / "rolled.npy") as file, pytest.raises(
            InputError, match=r"strongest samples lie .* of the way to the edge of k-space by the trajectory"):
        file[0]
    with read_kspace(pair[0], trajectory=tmp_path / "rolled.npy", implausible=True) as file:
        assert file[0].kspace.shape == (1, 3, 20, 48)


def test_a_trajectory_of_another_scan(pair: tuple[Path, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", SPOKES.numpy()[:7])
    with pytest.raises(InputError, match=r"has 7 readouts of 48 samples, and .*k\.npy 20 x 48"):
        read_kspace(pair[0], trajectory=tmp_path / "other.npy")
    with pytest.raises(InputError, match="does not exist"):
        read_kspace(pair[0], trajectory=tmp_path / "none.npy")


def test_scans_along_trajectories_are_not_cartesian(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"k\.npy was acquired along a trajectory, and Cartesian scans are needed here"):
        read_cartesian(pair[0], trajectory=pair[1])
    np.save(pair[0], np.fft.fftshift(np.fft.fft2(np.ones((1, 3, 24, 24))), axes=(-2, -1)) + 0j)
    with read_cartesian(pair[0]) as file:
        assert file.shape == (1, 3, 24, 24)
