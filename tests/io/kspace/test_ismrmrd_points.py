"""ISMRMRD files along trajectories: what the package writes is read with the right geometry, or refused with the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.operators import full
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.io import read_kspace
from medrestore.io.kspace.ismrmrd_points import MRDPoints
from medrestore.mri import radial, rosette, spiral
from medrestore.operators import NonCartesianSense

SIZE, COILS = (24, 20), 3
SPOKES = radial(9, SIZE)
DIRECTIONS = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0]])
NORMAL = np.cross(*DIRECTIONS)


def header(kind: str = "radial", *, encoded: tuple[int, int] = SIZE, field: tuple[float, float] = (48.0, 40.0),
           recon: tuple[int, int] = SIZE) -> bytes:
    def space(name: str, matrix: tuple[int, int], mm: tuple[float, float]) -> str:
        return (f"<{name}><matrixSize><x>{matrix[0]}</x><y>{matrix[1]}</y><z>1</z></matrixSize>"
                f"<fieldOfView_mm><x>{mm[0]}</x><y>{mm[1]}</y><z>5</z></fieldOfView_mm></{name}>")

    return ('<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>' + space("encodedSpace", encoded, field)
            + space("reconSpace", recon, (48.0, 40.0)) + "<encodingLimits></encodingLimits>"
            f"<trajectory>{kind}</trajectory></encoding></ismrmrdHeader>").encode()


def samples_of(trajectory: torch.Tensor) -> np.ndarray:
    image, maps, _ = head_and_maps(SIZE, COILS, 0)
    return NonCartesianSense(maps, trajectory, full(trajectory))(image.to(torch.complex64))[0].numpy()


def write(path: Path, trajectory: torch.Tensor, *, xml: bytes | None = None, scale: Any = None, slices: int = 1,
          change: Callable[[Any, int], None] = lambda one, number: None, stored: bool = True, dims: int = 2,
          noise: bool = False) -> Path:
    """A file by the package `ismrmrd`, its trajectory in cycles per pixel; slices 7 mm apart."""
    ismrmrd = pytest.importorskip("ismrmrd")
    data, points = samples_of(trajectory), trajectory.numpy() * (1 / np.array(SIZE) if scale is None else scale)
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(header() if xml is None else xml)
    if noise:
        one = ismrmrd.Acquisition.from_array(np.full((COILS, 64), 0.01 + 0.01j, np.complex64), sample_time_us=2.0)
        one.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        dataset.append_acquisition(one)
    for index in range(slices):
        for number, readout in enumerate(points):
            traj = np.concatenate([readout, np.zeros((len(readout), dims - 2))], 1).astype(np.float32)
            row = np.ascontiguousarray((index + 1) * data[:, number])
            one = ismrmrd.Acquisition.from_array(row, *((traj,) if stored else ()), sample_time_us=2.0)
            one.idx.kspace_encode_step_1, one.idx.slice = number, index
            one.read_dir[:], one.phase_dir[:], one.slice_dir[:] = *DIRECTIONS, NORMAL
            one.position[:] = np.array([10.0, -20.0, 30.0]) + 7.0 * index * NORMAL
            change(one, number)
            dataset.append_acquisition(one)
    dataset.close()
    return path


@pytest.mark.parametrize(("kind", "trajectory"), [
    ("radial", SPOKES), ("goldenangle", radial(7, SIZE, golden=True)), ("spiral", spiral(4, SIZE)), ("other", rosette(6, SIZE)),
])
@pytest.mark.parametrize("dims", [2, 3])
def test_kinds_of_trajectories(kind: str, trajectory: torch.Tensor, dims: int, tmp_path: Path) -> None:
    path = write(tmp_path / "s.h5", trajectory, xml=header(kind), slices=2, dims=dims, noise=True)
    with read_kspace(path) as file:
        assert isinstance(file, MRDPoints) and file.shape == (2, COILS, *SIZE) and file.has_noise
        first, second = file[0], file[1]
    assert first.trajectory is not None and first.shape == first.crop == SIZE
    torch.testing.assert_close(first.trajectory, trajectory, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(first.kspace[0], torch.from_numpy(samples_of(trajectory)))
    torch.testing.assert_close(second.kspace, 2 * first.kspace)
    assert first.noise is not None and first.noise.shape == (COILS, 64)
    assert first.pixel_mm == pytest.approx((2.0, 2.0, 7.0)) and first.affine is not None
    step = np.diag([-1.0, -1, 1]) @ (7.0 * NORMAL)
    np.testing.assert_allclose(first.affine[:3, 2], step, atol=1e-5)
    centre = first.affine @ [SIZE[0] // 2, SIZE[1] // 2, 0, 1]
    np.testing.assert_allclose(centre[:3], [-10.0, 20.0, 30.0], atol=1e-4)  # the centre of the field of view, in RAS


@pytest.mark.parametrize(("scale", "units"), [
    (1.0, "cycles-per-fov"), (2 * np.pi / np.array(SIZE), "radians-per-pixel"), (1 / np.array(SIZE), "cycles-per-pixel"),
])
def test_units(scale: Any, units: str, tmp_path: Path) -> None:
    with read_kspace(write(tmp_path / "s.h5", SPOKES, scale=scale)) as file:
        assert any(units.replace("-", " ") in note for note in file.notes)
        scan = file[0]
    assert scan.trajectory is not None
    torch.testing.assert_close(scan.trajectory, SPOKES, rtol=1e-4, atol=1e-3)


def test_readout_oversampling_and_an_interpolated_image(tmp_path: Path) -> None:
    """The encoded field of view is twice that of the image; or the image has pixels of half the size."""
    wide = write(tmp_path / "wide.h5", SPOKES, xml=header(encoded=(48, 40), field=(96.0, 80.0)))
    fine = write(tmp_path / "fine.h5", SPOKES, xml=header(recon=(48, 40)))
    for path in (wide, fine):
        with read_kspace(path) as file:
            scan = file[0]
        assert scan.shape == SIZE and scan.pixel_mm is not None and scan.pixel_mm[:2] == pytest.approx((2.0, 2.0))


def test_discarded_samples_and_short_readouts(tmp_path: Path) -> None:
    def discard(one: Any, number: int) -> None:
        if number == 2:
            one.discard_pre, one.discard_post = 3, 5

    with read_kspace(write(tmp_path / "s.h5", SPOKES, change=discard)) as file:
        scan = file[0]
    assert int(scan.mask.sum()) == scan.mask.numel() - 8 and not bool(scan.mask[2, :3].any() | scan.mask[2, -5:].any())


def test_contrasts_and_repetitions(tmp_path: Path) -> None:
    def contrasts(one: Any, number: int) -> None:
        one.idx.contrast = number % 2

    def repetitions(one: Any, number: int) -> None:
        one.idx.repetition = number % 3

    path = write(tmp_path / "c.h5", SPOKES, change=contrasts)
    with read_kspace(path) as file:
        assert file[0].mask.shape[0] == 5 and "only contrast 0 is read" in file.notes[0]
    with read_kspace(path, select={"contrast": 1}) as file:
        assert file[0].mask.shape[0] == 4
    with read_kspace(write(tmp_path / "r.h5", SPOKES, change=repetitions)) as file:
        assert file[0].mask.shape[0] == 9


def test_a_trajectory_given_beside(tmp_path: Path) -> None:
    path = write(tmp_path / "s.h5", SPOKES, stored=False)
    with pytest.raises(InputError, match="is a radial scan and stores no trajectory of two dimensions; give it by `trajectory`"):
        read_kspace(path)
    np.save(tmp_path / "t.npy", SPOKES.numpy())
    with read_kspace(path, trajectory=tmp_path / "t.npy") as file:
        scan = file[0]
    assert scan.trajectory is not None
    torch.testing.assert_close(scan.trajectory, SPOKES)
    np.save(tmp_path / "other.npy", SPOKES.numpy()[:5])
    with pytest.raises(InputError, match="has 9 readouts of 48 samples in slice 0, and the trajectory 5 of 48"):
        read_kspace(path, trajectory=tmp_path / "other.npy")


def beyond(one: Any, number: int) -> None:
    one.traj[:] *= 3


def three(one: Any, number: int) -> None:
    one.traj[:, 2] = 0.1 * number


def steps(one: Any, number: int) -> None:
    one.idx.kspace_encode_step_2 = number


def broken(one: Any, number: int) -> None:
    one.traj[0, 0] = np.nan


@pytest.mark.parametrize(("change", "options", "what"), [
    (three, {"dims": 3}, "in three dimensions, and slices are read"), (steps, {}, "outside the 1 of its header"),
    (broken, {}, "NaN"),
    (beyond, {"scale": 1.0}, "beyond what an image of 24 x 20 pixels resolves"),
])
def test_what_is_refused(change: Any, options: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=what):
        read_kspace(write(tmp_path / "s.h5", SPOKES, change=change, **options))
