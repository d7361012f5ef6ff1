"""3-D scans of every format: positions of the readout as slices, their geometry, slabs, and memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal
from helpers.mrd import MRDWriter, xml

from medrestore.errors import InputError
from medrestore.fft import fft2c, ifft2c
from medrestore.io import read_kspace

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "kspace"
PLANE = ("coil", "row", "col"), ("col", "row", "coil")  # of the same arrays, read as slices
PARTITIONS, COLUMNS, SAMPLES, ROWS, COILS = 6, 10, 16, 8, 3


def header(*, recon_z: int = PARTITIONS) -> bytes:
    """That of `helpers.mrd`, with partitions 2 mm thick and their centre at 3."""
    text = xml().decode().replace("<z>1</z></matrixSize>", f"<z>{PARTITIONS}</z></matrixSize>")
    text = text.replace("<z>5</z>", f"<z>{2 * PARTITIONS}</z>")
    recon = f"<z>{recon_z}</z></matrixSize><fieldOfView_mm><x>16.0</x><y>24.0</y><z>{2 * recon_z}</z>"
    text = text.replace(f"<z>{PARTITIONS}</z></matrixSize><fieldOfView_mm><x>16.0</x><y>24.0</y><z>{2 * PARTITIONS}</z>", recon)
    limits = "<kspace_encoding_step_2><minimum>0</minimum><maximum>5</maximum><center>3</center></kspace_encoding_step_2>"
    return text.replace("</encodingLimits>", limits + "</encodingLimits>").encode()


def written(path, kspace, *, slabs=1, mask=None, **options):
    """(coil, sample, partition, column) as ISMRMRD."""
    writer = MRDWriter(path, header(**options))
    for slab in range(slabs):
        for partition in range(PARTITIONS):
            steps = range(COLUMNS) if mask is None else np.flatnonzero(mask[partition])
            writer.image(kspace[:, :, partition] * (1 + slab), steps, slice=slab, kspace_encode_step_2=partition)
    writer.dataset.close()
    return path


@pytest.fixture
def kspace():
    """Of a smooth image, which looks like k-space."""
    image = np.zeros((COILS, SAMPLES, PARTITIONS, COLUMNS), np.complex64)
    image[:, 5:11, 1:5, 2:8] = 1 + 0.2 * complex_normal(0, COILS, 6, 4, 6)
    return torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(torch.from_numpy(image), dim=(1, 2, 3)), dim=(1, 2, 3),
                                             norm="ortho"), dim=(1, 2, 3)).numpy()


def hybrid_of(kspace):
    """(position, coil, partition, column), the middle half of the readout."""
    return ifft2c(torch.from_numpy(kspace), axes=(1,))[:, 4:12].permute(1, 0, 2, 3)


def test_slices_of_an_ismrmrd_volume_are_positions_of_the_readout(tmp_path, kspace):
    mask = np.ones((PARTITIONS, COLUMNS), bool)
    mask[0, 1] = mask[5, 7] = False
    file = read_kspace(written(tmp_path / "v.h5", kspace, mask=mask), implausible=True)
    assert file.is_volume and file.shape == (ROWS, COILS, PARTITIONS, COLUMNS)
    expected = hybrid_of(kspace) * torch.from_numpy(mask)
    for index in (0, 3, 7):
        scan = file[index]
        assert torch.allclose(scan.kspace[0], expected[index], atol=1e-5)
        assert torch.equal(scan.mask, torch.from_numpy(mask).float()) and scan.crop == (PARTITIONS, 8)
    full = read_kspace(written(tmp_path / "f.h5", kspace), implausible=True)
    assert torch.equal(full[0].mask, torch.ones(1, COLUMNS))


def test_the_affine_of_a_volume_puts_its_middle_at_the_position(tmp_path, kspace):
    file = read_kspace(written(tmp_path / "v.h5", kspace, recon_z=4), implausible=True)
    scan = file[0]
    assert scan.pixel_mm == (2.0, 3.0, 2.0) and scan.crop == (4, 8)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = to_lps @ scan.affine
    middle = affine @ (2, 4, 4, 1)  # the origins of partitions, phase encode and readout
    assert np.allclose(middle[:3], MRDWriter.origin)
    assert np.allclose(affine[:3, 0], 2 * MRDWriter.normal) and np.allclose(affine[:3, 1], 3 * MRDWriter.phase)
    assert np.allclose(affine[:3, 2], 2 * MRDWriter.read)
    third = to_lps @ file[3].affine
    assert np.allclose(third @ (2, 4, 1, 1), middle)  # slice 3 of the file as slice 0


def test_a_readout_that_begins_late_is_said(tmp_path, kspace):
    writer = MRDWriter(tmp_path / "v.h5", header())
    for partition in range(PARTITIONS):
        writer.image(kspace[:, 6:, partition], kspace_encode_step_2=partition, center=SAMPLES // 2 - 6)
    writer.dataset.close()
    said = "One side of the readout was left out (asymmetric echo): 62% of it are covered."
    assert read_kspace(tmp_path / "v.h5", implausible=True).notes[-1].startswith(said)
    for late in (0, 6):
        kspace[:, :late] = 0
        np.save(tmp_path / "v.npy", kspace)
        scan = read_kspace(tmp_path / "v.npy", axes=("coil", "row", "partition", "col"), implausible=True)[3]
        assert [note[: len(said)] for note in scan.notes] == ([said] if late else [])


def test_slabs_are_volumes_of_their_own(tmp_path, kspace):
    path = written(tmp_path / "s.h5", kspace, slabs=2)
    first, second = (read_kspace(path, select=select, implausible=True) for select in ({}, {"slab": 1}))
    assert first.notes == ("Of 2 slabs only slab 0 is read; set `select.slab` to 1 for another.",)
    assert torch.allclose(second[2].kspace, 2 * first[2].kspace, atol=1e-5)
    offset = second[0].affine[:3, 3] - first[0].affine[:3, 3]
    assert np.allclose(np.diag([-1, -1, 1]) @ offset, 7.0 * MRDWriter.normal)
    with pytest.raises(InputError, match="no slab 2"):
        read_kspace(path, select={"slab": 2})


@pytest.mark.parametrize("axes", [("coil", "row", "partition", "col"), ("row", "col", "partition", "coil")])
def test_arrays_with_partitions(tmp_path, kspace, axes):
    order = [("coil", "row", "partition", "col").index(axis) for axis in axes]
    np.save(tmp_path / "v.npy", kspace.transpose(order))
    file = read_kspace(tmp_path / "v.npy", axes=axes, implausible=True)
    assert file.is_volume and file.shape == (SAMPLES, COILS, PARTITIONS, COLUMNS)
    assert torch.allclose(file[6].kspace[0], hybrid_of(kspace)[2], atol=1e-5)
    np.save(tmp_path / "u.npy", np.fft.ifftshift(kspace, axes=(1, 2, 3)).transpose(order))
    assert torch.allclose(read_kspace(tmp_path / "u.npy", axes=axes, uncentred=True, implausible=True)[6].kspace,
                          file[6].kspace, atol=1e-5)
    with pytest.raises(InputError, match="name slice, row and partition"):
        read_kspace(tmp_path / "v.npy", axes=("slice", "row", "partition", "col"))


@pytest.mark.parametrize("axes", [("slice", "coil", "partition", "col"), ("col", "partition", "coil", "slice")])
def test_a_slab_whose_readout_is_decoded_has_its_positions_as_slices(tmp_path, kspace, axes):
    hybrid = hybrid_of(kspace)
    np.save(tmp_path / "h.npy", hybrid.numpy().transpose([("slice", "coil", "partition", "col").index(axis) for axis in axes]))
    file = read_kspace(tmp_path / "h.npy", axes=axes, implausible=True)
    assert file.is_volume and file.shape == (ROWS, COILS, PARTITIONS, COLUMNS)
    assert torch.equal(file[3].kspace[0], hybrid[3])
    with pytest.raises(InputError, match="lack row or col"):
        read_kspace(tmp_path / "h.npy", axes=("slice", "coil", "average", "partition"), implausible=True)


def test_positions_of_a_slab_of_bart(tmp_path, kspace):
    hybrid = hybrid_of(kspace).numpy()  # (x, coil, z, y)
    (tmp_path / "s.hdr").write_text(f"# Dimensions\n{ROWS} {COLUMNS} {PARTITIONS} {COILS}\n")
    hybrid.transpose(0, 3, 2, 1).ravel(order="F").astype(np.complex64).tofile(tmp_path / "s.cfl")
    file = read_kspace(tmp_path / "s.cfl", axes=("slice", "col", "partition", "coil"), implausible=True)
    assert file.is_volume and torch.equal(file[5].kspace[0], hybrid_of(kspace)[5])


@pytest.mark.parametrize(("name", "axes"), [("brain_8ch_poisson/cartesian_ksp.npy", ("coil", "partition", "col")),
                                            ("brain_8ch_pics/ksp.cfl", None)])
def test_real_scans_over_two_phase_encodes_are_positions_of_a_slab(name, axes):
    place = DATA / name
    if not place.is_file():
        pytest.skip("the scan is not here")
    with read_kspace(place, axes=axes) as file, read_kspace(place, axes=PLANE[axes is None]) as plane:
        assert file.is_volume and file.shape == (1, 8, 230, 180) and not plane.is_volume
        assert torch.equal(file[0].kspace, plane[0].kspace) and 0.1 < float(file[0].mask.mean()) < 0.14


def test_averages_of_a_volume(tmp_path, kspace):
    both = np.stack([kspace, 3 * kspace], -1)
    both[:, :, 0, :, 1] = 0  # a partition that was measured once
    np.save(tmp_path / "a.npy", both)
    file = read_kspace(tmp_path / "a.npy", axes=("coil", "row", "partition", "col", "average"), implausible=True)
    expected = ifft2c(torch.from_numpy(kspace), axes=(1,)).permute(1, 0, 2, 3) * 2
    expected[:, :, 0] /= 2
    assert torch.allclose(file[6].kspace[0], expected[6], atol=1e-5)


def test_k_space_is_in_memory_once(tmp_path):
    """The file is mapped; what is made of it is one hybrid array and the work on one coil."""
    shape = (8, 64, 24, 32)
    array = complex_normal(1, *shape)
    np.save(tmp_path / "m.npy", array)
    size = array.nbytes
    del array
    tracemalloc.start()
    try:
        with read_kspace(tmp_path / "m.npy", axes=("coil", "row", "partition", "col"), implausible=True) as file:
            views = [file[index].kspace.data_ptr() for index in range(64)]
            _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(set(views)) == 64 and peak < 1.4 * size  # the rest is one coil of eight, twice


def test_a_fourier_transform_gives_the_volume_back(tmp_path, kspace):
    file = read_kspace(written(tmp_path / "v.h5", kspace), implausible=True)
    whole = torch.stack([file[index].kspace[0] for index in range(ROWS)])
    again = fft2c(whole.permute(1, 0, 2, 3), axes=(1,))
    assert again.shape == (COILS, ROWS, PARTITIONS, COLUMNS)
    assert float(again.abs().square().sum()) == pytest.approx(float(whole.abs().square().sum()), rel=1e-4)
