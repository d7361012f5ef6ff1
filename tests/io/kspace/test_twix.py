"""Siemens twix files."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal

from medrestore.errors import InputError
from medrestore.fft import ifft2c
from medrestore.io import read_kspace

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "kspace"


@pytest.fixture
def twix():
    path = DATA / "phantom_2ch_twix" / "gre.dat"
    if not path.is_file():
        pytest.skip("the scan is not here")
    pytest.importorskip("twixtools")
    return path


def test_real_twix(twix, capfd):
    with read_kspace(twix) as file:
        scan = file[0]
        assert file.kind == "Siemens twix" and file.shape == (1, 2, 160, 160) and scan.crop == (160, 160)
    assert torch.equal(scan.mask, torch.ones(1, 160)) and scan.pixel_mm == (1.25, 1.25, 4.0)
    from twixtools import read_twix

    lines = [block.data for block in read_twix(str(twix), parse_pmu=False, parse_geometry=False, verbose=False)[-1]["mdb"]]
    whole = torch.from_numpy(np.stack(lines, -1))
    torch.testing.assert_close(ifft2c(scan.kspace)[0], ifft2c(whole)[:, 80:240], rtol=0, atol=1e-8)
    peak = scan.kspace[0, 0].abs().argmax()
    assert abs(int(peak) // 160 - 80) <= 1 and abs(int(peak) % 160 - 80) <= 1
    captured = capfd.readouterr()
    assert not captured.out and not captured.err


def test_damaged_twix(twix, tmp_path):
    content = twix.read_bytes()
    path = tmp_path / "cut.dat"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.dat"):
        read_kspace(path)
    (start,) = struct.unpack_from("<Q", content, 16)
    (header,) = struct.unpack_from("<I", content, start)
    endless = bytearray(content)
    struct.pack_into("<I", endless, start + header, 0)  # a block of no length
    struct.pack_into("<Q", endless, start + header + 40, 1 << 5)  # that claims to be sync data
    path.write_bytes(endless)
    with pytest.raises(InputError, match=r"cut\.dat has a damaged or cut data block"):
        read_kspace(path)


def test_twix_noise_averages_and_undersampling(twix, tmp_path):
    import twixtools

    noise = complex_normal(3, 2, 320)
    scans = twixtools.read_twix(str(twix), parse_pmu=False, parse_geometry=False, verbose=False, keep_acqend=True)
    *lines, end = scans[-1]["mdb"]
    first, second = ([block.convert_to_local() for block in lines[::2]] for _ in range(2))
    for block in second:
        block.mdh.Counter.Ave = 1
    adjustment = twixtools.mdb.Mdb_local(noise)
    adjustment.add_flag("NOISEADJSCAN")
    scans[-1]["mdb"] = [adjustment, *first, *second, end]
    twixtools.write_twix(scans, str(tmp_path / "n.dat"))
    file = read_kspace(tmp_path / "n.dat")
    scan, original = file[0], read_kspace(twix)[0]
    assert file.has_noise and torch.equal(scan.mask[0], torch.tensor([1.0, 0.0]).repeat(80))
    torch.testing.assert_close(scan.kspace, original.kspace * scan.mask, rtol=0, atol=1e-9)
    expected = noise * np.sqrt(1e9 / 130 / 320 / 11600 / 2)
    torch.testing.assert_close(scan.noise, torch.from_numpy(expected.astype(np.complex64)), rtol=1e-5, atol=1e-6)


def rewritten(twix, path, change):
    """The file with other blocks: `change` gets lists of local copies of them, one call a copy, and returns those to write."""
    import twixtools

    scans = twixtools.read_twix(str(twix), parse_pmu=False, parse_geometry=False, verbose=False, keep_acqend=True)
    *lines, end = scans[-1]["mdb"]
    scans[-1]["mdb"] = [*change(lambda part=slice(None): [block.convert_to_local() for block in lines[part]]), end]
    twixtools.write_twix(scans, str(path))
    return path


def test_echoes_are_selected_and_slices_sorted_by_their_position(twix, tmp_path):
    def two_echoes(copy):
        second = copy()
        for block in second:
            block.mdh.Counter.Eco = 1
            block.data = block.data * 2
        return [*copy(), *second]

    path = rewritten(twix, tmp_path / "e.dat", two_echoes)
    original = read_kspace(twix)[0].kspace
    assert read_kspace(path).notes == ("Of 2 contrasts only contrast 0 is read; set `select.contrast` to 1 for another, "
                     "or `separate` to read each.",)
    torch.testing.assert_close(read_kspace(path, select={"contrast": 1})[0].kspace, 2 * original, rtol=1e-5, atol=1e-9)

    def three_slices(copy):
        blocks = []
        for counter, place in enumerate((0, 2, 1)):
            for block in copy(slice(60, 100)):
                block.mdh.Counter.Sli = counter
                block.mdh.SliceData.SlicePos.Tra += 6.0 * place
                block.data = block.data * (1 + place)
                blocks.append(block)
        return blocks

    file = read_kspace(rewritten(twix, tmp_path / "s.dat", three_slices))
    sizes = [float(scan.kspace.abs().sum()) for scan in file]
    assert [round(size / sizes[0]) for size in sizes] == [1, 2, 3] and file[0].pixel_mm == pytest.approx((1.25, 1.25, 6))
    assert "their counters, which then run 0, 2, 1." in file.notes[0] and file[0].affine is None


def test_separate_reference_lines_give_the_maps(twix, tmp_path):
    def referenced(copy):
        reference = copy(slice(68, 92))
        for block in reference:
            block.add_flag("PATREFSCAN")
        return [*reference, *copy(slice(0, None, 3))]

    file = read_kspace(rewritten(twix, tmp_path / "r.dat", referenced))
    scan, original = file[0], read_kspace(twix)[0]
    assert int(scan.mask.sum()) == 54 and "24 separate calibration lines give the coil maps" in file.notes[-1]
    columns = (scan.calibration[0] != 0).any(0).any(0)
    assert torch.nonzero(columns).flatten().tolist() == list(range(68, 92))
    torch.testing.assert_close(scan.calibration[..., columns], original.kspace[..., columns], rtol=1e-5, atol=1e-9)


def test_partitions_are_a_second_phase_encode_and_slabs_volumes(twix, tmp_path):
    weights = complex_normal(5, 4)

    def partitioned(copy):
        blocks = []
        for slab in (0, 1):
            for partition in range(4):
                for block in copy(slice(70, 90)):
                    block.mdh.Counter.Par, block.mdh.CenterPar, block.mdh.Counter.Sli = partition, 2, slab
                    block.data = block.data * weights[partition] * (1 + slab)
                    blocks.append(block)
        return blocks

    path = rewritten(twix, tmp_path / "v.dat", partitioned)
    file = read_kspace(path, implausible=True)
    assert file.is_volume and file.shape == (160, 2, 4, 160) and file[0].crop == (4, 160)
    assert file.notes[0] == "Of 2 slabs only slab 0 is read; set `select.slab` to 1 for another."
    original = read_kspace(twix)[0].kspace[0]
    hybrid = ifft2c(original, axes=(1,))[:, 80, 70:90]  # (coil, column) of the middle of the readout
    found = file[80]
    torch.testing.assert_close(found.kspace[0, :, :, 70:90], torch.from_numpy(weights)[None, :, None] * hybrid[:, None],
                               rtol=1e-4, atol=1e-9)
    assert torch.nonzero(found.mask[0]).flatten().tolist() == list(range(70, 90))
    assert found.pixel_mm == pytest.approx((1.0, 1.25, 1.25)) and found.affine is None  # 4 mm in four partitions
    second = read_kspace(path, select={"slab": 1}, implausible=True)[80].kspace
    torch.testing.assert_close(second, 2 * found.kspace, rtol=1e-5, atol=1e-9)


def backwards(block):
    """A line as it is read in reverse, with the phase that such lines have more."""
    x = np.arange(320) - 160
    image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(block.data, axes=-1)), axes=-1)
    line = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image * np.exp(1j * (0.8 + 0.01 * x)), axes=-1)), axes=-1)
    block.data = np.ascontiguousarray(line[:, ::-1]).astype(np.complex64)
    block.add_flag("REFLECT")
    return block


def planar(copy, navigators=True):
    """The phantom as an echo-planar scan."""
    middle, lines = [copy(slice(80, 81))[0] for _ in range(3)], copy()
    for block in middle:
        block.add_flag("PHASCOR")
    backwards(middle[1])
    return [*(middle if navigators else ()), *(backwards(block) if at % 2 else block for at, block in enumerate(lines))]


def test_echo_planar_lines_are_turned_and_their_ghost_removed(twix, tmp_path):
    file = read_kspace(rewritten(twix, tmp_path / "e.dat", planar))
    original = read_kspace(twix)[0].kspace
    assert "both ways (EPI)" in file.notes[-1]
    off = torch.linalg.vector_norm(file[0].kspace - original) / torch.linalg.vector_norm(original)
    assert float(off) < 0.02
    with pytest.raises(InputError, match="no navigator lines of both directions for slice 0"):
        read_kspace(rewritten(twix, tmp_path / "n.dat", lambda copy: planar(copy, False)))


def test_navigators_of_another_repetition_are_left_aside(twix, tmp_path):
    def repeated(copy):
        first, second = planar(copy), planar(copy)
        first[1].data = (first[1].data * np.exp(2j)).astype(np.complex64)  # that the second has not
        for block in second:
            block.mdh.Counter.Rep = 1
        return [*first, *second]

    file = read_kspace(rewritten(twix, tmp_path / "e.dat", repeated), select={"repetition": 1})
    original = read_kspace(twix)[0].kspace
    assert float(torch.linalg.vector_norm(file[0].kspace - original) / torch.linalg.vector_norm(original)) < 0.02


@pytest.mark.parametrize(("number", "why"), [
    (2, "is radial; twix files do not say where such samples lie: convert it to ISMRMRD"), (4, "is spiral"),
])
def test_trajectories_of_twix_are_refused_with_a_way_out(twix, tmp_path, number, why):
    old, new = (b"sKSpace.ucTrajectory\t = \t%d" % value for value in (1, number))
    (tmp_path / "t.dat").write_bytes(twix.read_bytes().replace(old, new))
    with pytest.raises(InputError, match=why):
        read_kspace(tmp_path / "t.dat")
