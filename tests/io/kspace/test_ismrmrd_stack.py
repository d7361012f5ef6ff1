"""Stacks of stars: a transform along the stack gives slices along one trajectory, where all partitions have that."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.io import read_kspace
from medrestore.io.kspace.ismrmrd_stack import MRDStack
from medrestore.mri import radial
from medrestore.operators import NonCartesianSense

from .test_ismrmrd_points import COILS, DIRECTIONS, NORMAL, SIZE, header

PARTITIONS, KEPT = 6, 4
SPOKES = radial(7, SIZE)


def stack_header() -> bytes:
    text = header().decode()
    for name, count in (("encodedSpace", PARTITIONS), ("reconSpace", KEPT)):
        start = text.index(f"<{name}>")
        end = text.index(f"</{name}>")
        space = text[start:end].replace("<z>1</z>", f"<z>{count}</z>").replace("<z>5</z>", f"<z>{3 * count}</z>")
        text = text[:start] + space + text[end:]
    return text.encode()


def slices_of() -> torch.Tensor:
    """(partition, coil, readout, sample) of slices that brighten along the stack."""
    image, maps, _ = head_and_maps(SIZE, COILS, 0)
    A = NonCartesianSense(maps, SPOKES, torch.ones(SPOKES.shape[:2]))
    return torch.cat([A((1 + z) * image.to(torch.complex64)) for z in range(PARTITIONS)])


def write(path: Path, *, change: Any = lambda points, number, partition: points, partitions: Any = range(PARTITIONS),
          slabs: int = 1, dims: int = 2, drop: tuple[int, int] | None = None, noise: bool = False) -> Path:
    ismrmrd = pytest.importorskip("ismrmrd")
    data = fft2c(slices_of(), axes=(0,)).numpy()[[*range(PARTITIONS), 0]]
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(stack_header())
    if noise:
        one = ismrmrd.Acquisition.from_array(np.full((COILS, 64), 0.01 + 0.01j, np.complex64), sample_time_us=2.0)
        one.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        dataset.append_acquisition(one)
    for slab in range(slabs):
        for number in reversed(range(len(SPOKES))):  # in no order that matters
            for partition in partitions:
                if (number, partition) == drop:
                    continue
                points = change(SPOKES[number].numpy() / np.array(SIZE), number, partition)
                height = np.full((len(points), dims - 2), (partition - PARTITIONS // 2) / PARTITIONS)
                one = ismrmrd.Acquisition.from_array(np.ascontiguousarray((1 + slab) * data[partition, :, number]),
                                                     np.concatenate([points, height], 1).astype(np.float32), sample_time_us=2.0)
                one.idx.kspace_encode_step_1, one.idx.kspace_encode_step_2, one.idx.slice = number, partition, slab
                one.read_dir[:], one.phase_dir[:], one.slice_dir[:] = *DIRECTIONS, NORMAL
                one.position[:] = np.array([10.0, -20.0, 30.0]) + 40.0 * slab * NORMAL
                dataset.append_acquisition(one)
    dataset.close()
    return path


@pytest.mark.parametrize("dims", [2, 3])
def test_slices_are_those_of_the_stack(dims: int, tmp_path: Path) -> None:
    with read_kspace(write(tmp_path / "s.h5", dims=dims)) as file:
        assert isinstance(file, MRDStack) and file.shape == (KEPT, COILS, *SIZE)
        scans = list(file)
    expected = slices_of()[1:5]
    for scan, truth in zip(scans, expected, strict=True):
        torch.testing.assert_close(scan.kspace[0], truth, rtol=1e-4, atol=1e-4)
        assert scan.trajectory is not None
        torch.testing.assert_close(scan.trajectory, SPOKES, rtol=1e-4, atol=1e-3)
    assert scans[0].pixel_mm == pytest.approx((2.0, 2.0, 3.0))
    middle = scans[0].affine @ [SIZE[0] // 2, SIZE[1] // 2, 2, 1]  # partition 3 of 6, the origin
    np.testing.assert_allclose(middle[:3], [-10.0, 20.0, 30.0], atol=1e-4)
    np.testing.assert_allclose(scans[0].affine[:3, 2], np.diag([-1.0, -1, 1]) @ (3.0 * NORMAL), atol=1e-5)


def test_slabs_and_ends_that_were_not_acquired(tmp_path: Path) -> None:
    path = write(tmp_path / "s.h5", slabs=2, partitions=range(1, PARTITIONS), noise=True)
    with read_kspace(path) as file, read_kspace(path, select={"slab": 1}) as second:
        assert "5 of 6 partitions were acquired; the others are zeros." in file.notes
        assert "Of 2 slabs only slab 0 is read; set `select.slab` to 1 for another." in file.notes
        torch.testing.assert_close(second[1].kspace, 2 * file[1].kspace)
        assert float(file[0].noise.abs().max()) == pytest.approx(2**0.5 * 0.01 * (5 / 6) ** 0.5, rel=1e-4)


@pytest.mark.parametrize(("options", "why"), [
    ({"change": lambda points, number, partition: points * (1 + 0.1 * (partition == 2))}, "other readouts in partition 2"),
    ({"partitions": (0, 1, 3, 4, 5)}, "leaves out partitions between others"),
    ({"drop": (3, 4)}, "has 6 to 7 readouts in a partition"),
    ({"partitions": range(PARTITIONS + 1)}, "outside the 6 of its header"),
])
def test_what_is_no_stack(options: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "s.h5", **options)
    with pytest.raises(InputError, match=why):
        read_kspace(path)[0]
