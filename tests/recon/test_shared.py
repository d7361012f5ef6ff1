"""Slices that make one volume: their scale, the phase of their maps, and positions of a 3-D scan outside the object."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from helpers.phantom import head_and_maps
from helpers.ready import Shrink

from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.io import Scan, read_provenance
from medrestore.mri import radial, spiral
from medrestore.operators import NonCartesianSense
from medrestore.recon import reconstruct
from medrestore.recon.files import Job, recon_file
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.recon.restoring import restore_slices
from medrestore.recon.shared import central_energy, in_phase, virtual_coil

POSITIONS, SHAPE = 6, (24, 20)


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    """k-space (coil, row, partition, col) of a head at the four inner positions of the readout."""
    image, maps, generator = head_and_maps(SHAPE, 4, seed=2)
    positions = torch.zeros(POSITIONS, 4, *SHAPE, dtype=torch.complex64)
    for index in range(1, POSITIONS - 1):
        positions[index] = (maps * image * (1 + 0.05 * index))[0]
    kspace = fft2c(fft2c(positions), axes=(0,))
    noise = torch.view_as_complex(torch.randn(*kspace.shape, 2, generator=generator))
    return (kspace + 0.005 * noise).permute(1, 0, 2, 3).numpy()


@pytest.mark.parametrize("plan", [
    Plan("cg-sense", weight=1e-2), Plan("hqs", steps=3), Plan("dds", steps=3, across_slices=5.0, samples=2),
    Plan("hqs", steps=3, across_slices=5.0, three_planes=True),
], ids=["classical", "slice by slice", "across slices", "three planes"])
def test_a_3d_scan_is_restored_position_by_position(tmp_path: Path, volume: np.ndarray, plan: Plan) -> None:
    np.save(tmp_path / "v.npy", volume)
    said: list[str] = []
    whole = Plan(**{name: getattr(plan, name) for name in plan.__dataclass_fields__} | {
        "axes": ("coil", "row", "partition", "col"), "noise_std": 0.005})
    recon_file(tmp_path / "v.npy", tmp_path / "out.h5", Job(whole, Shrink(), {"sha256": "weights"}, say=said.append))
    with h5py.File(tmp_path / "out.h5") as file:
        image = file["reconstruction_complex"][()]
    assert image.shape == (POSITIONS, *SHAPE)
    assert not image[0].any() and not image[-1].any()  # nothing but noise
    inner = image[1:-1]
    sizes = np.linalg.norm(inner.reshape(4, -1), axis=1)
    assert np.allclose(sizes / sizes[0], np.array([1.05, 1.1, 1.15, 1.2]) / 1.05, atol=0.06)
    phases = (inner[1:] * inner[:-1].conj()).sum((1, 2))  # of one volume: no jump from slice to slice
    assert np.abs(np.angle(phases)).max() < 0.2
    assert read_provenance(tmp_path / "out.h5")["config"]["across_slices"] == plan.across_slices


def test_slices_in_memory_are_a_volume_too(volume: np.ndarray) -> None:
    kspace = torch.from_numpy(volume).permute(1, 0, 2, 3)
    slices = torch.fft.fftshift(torch.fft.ifft(torch.fft.ifftshift(kspace, dim=0), dim=0, norm="ortho"), dim=0)[1:-1]
    results = [reconstruct(slices, prior=Shrink(), method="hqs", steps=3, noise_std=0.005, **across)
               for across in ({}, {"across_slices": 20.0}, {"across_slices": 20.0, "differences": 1})]
    first, second = ([float(one.image.diff(n=n, dim=0).abs().square().sum()) for one in results] for n in (1, 2))
    assert results[1].image.shape == (4, *SHAPE) and first[1] < first[0]
    assert first[2] < first[1] and second[1] < second[2]  # total variation makes slices alike, second differences a straight line


def test_maps_have_the_phase_that_the_virtual_coil_sees() -> None:
    maps = torch.randn(2, 3, 5, 4, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    reference = torch.tensor([0.6, 0.8j, 0.0])
    unmix = torch.eye(3, dtype=torch.complex64) * (1 + 0.5j)
    turned = in_phase(maps, unmix, reference)
    seen = torch.einsum("c,cv,svhw->shw", reference.conj(), unmix, turned)
    assert torch.allclose(seen.imag, torch.zeros(()), atol=1e-5) and bool((seen.real >= 0).all())
    torch.testing.assert_close(turned.abs(), maps.abs())


def test_the_virtual_coil_is_that_of_the_centre() -> None:
    kspace = torch.zeros(1, 3, 32, 32, dtype=torch.complex64)
    kspace[0, 1, 16, 16], kspace[0, 2, 0, 0] = 2.0, 100.0
    scan = Scan("s", 0, kspace, torch.ones(1, 32), None, None, None, (32, 32), None, None)
    assert torch.allclose(virtual_coil(scan).abs(), torch.tensor([0.0, 1.0, 0.0])) and central_energy(scan) == 4.0


def test_along_a_trajectory_the_centre_is_where_its_points_are() -> None:
    """Spirals begin there."""
    trajectory = spiral(2, (32, 32), samples=60)
    kspace = torch.zeros(1, 3, 2, 60, dtype=torch.complex64)
    kspace[0, 1, :, 0], kspace[0, 2, :, 30] = 2.0, 100.0
    scan = Scan("s", 0, kspace, torch.ones(2, 60), None, None, None, (32, 32), None, None, trajectory, (32, 32))
    assert torch.allclose(virtual_coil(scan).abs(), torch.tensor([0.0, 1.0, 0.0])) and central_energy(scan) == 8.0


def test_maps_along_a_trajectory_have_the_phase_of_the_reference() -> None:
    image, maps, random = head_and_maps(SHAPE, 4, seed=2)
    spokes = radial(24, SHAPE)
    mask = torch.ones(spokes.shape[:2])
    y = NonCartesianSense(maps, spokes, mask)(image)
    y = y + 0.005 * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    scan = Scan("s", 0, y, mask, None, None, None, SHAPE, None, None, spokes, SHAPE)
    reference = virtual_coil(scan)
    ready = prepare(scan, Plan("dds", map_sets=1), reference=reference)
    seen = torch.einsum("c,cv,svhw->shw", reference.conj(), ready.unmix, ready.sense.maps)
    assert bool((seen.real >= 0).all()) and torch.allclose(seen.imag, torch.zeros(()), atol=1e-4)


def test_options_of_volumes_that_do_not_go_together() -> None:
    for options, match in (({"method": "diffpir", "across_slices": 5.0}, "goes with hqs and dds"),
                           ({"method": "dds", "across_slices": 5.0, "options": {"gamma": 5.0}}, "without gamma"),
                           ({"method": "hqs", "across_slices": 5.0, "start_sigma": 0.5}, "does not go with `across_slices`"),
                           ({"method": "hqs", "three_planes": True}, "goes with `across_slices`"),
                           ({"method": "hqs", "differences": 1}, "goes with `across_slices`")):
        with pytest.raises(InputError, match=match):
            Plan(**options)


def test_slabs_go_on_from_one_to_the_next_and_hold_no_more_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slabs of two with one slice on either side: at most four slices in memory, and nearly the volume of one slab."""
    image, maps, generator = head_and_maps(SHAPE, 4, seed=2)
    slices = torch.cat([maps * image * (1 + 0.05 * index) for index in range(6)])
    stack = fft2c(slices) + 0.005 * torch.view_as_complex(torch.randn(*slices.shape, 2, generator=generator))
    np.save(tmp_path / "s.npy", stack.numpy())
    monkeypatch.setattr("medrestore.recon.volume.BESIDE", 1)
    sizes: list[int] = []

    def counted(prepared: Any, *given: Any, **options: Any) -> Any:
        sizes.append(len(prepared))
        return restore_slices(prepared, *given, **options)

    monkeypatch.setattr("medrestore.recon.volume.restore_slices", counted)
    images = {}
    for slab in (2, 32):
        plan = Plan("hqs", steps=4, across_slices=20.0, noise_std=0.005, slab=slab, map_sets=1)
        recon_file(tmp_path / "s.npy", tmp_path / f"{slab}.h5", Job(plan, Shrink(), {"sha256": "weights"}))
        with h5py.File(tmp_path / f"{slab}.h5") as file:
            images[slab] = file["reconstruction_complex"][()]
    assert sizes == [3, 4, 3, 6] and images[2].shape == (6, *SHAPE)
    assert np.linalg.norm(images[2] - images[32]) < 0.02 * np.linalg.norm(images[32])
