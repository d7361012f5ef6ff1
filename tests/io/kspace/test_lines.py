"""Line-by-line formats: ISMRMRD, written by its own package, and Siemens twix."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.fft import fft2c, ifft2c
from medrestore.io import inspect_file, read_kspace
from medrestore.io.kspace.base import calibration_width

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "kspace"
SAMPLES, ROWS, COLUMNS, COILS = 16, 8, 10, 3


def xml(*, trajectory="cartesian", center=5, calibration=None, bandwidth=None, recon_y=8):
    space = "<{0}><matrixSize><x>{1}</x><y>{2}</y><z>1</z></matrixSize>"
    space += "<fieldOfView_mm><x>{3}</x><y>{4}</y><z>5</z></fieldOfView_mm></{0}>"
    system = f"<relativeReceiverNoiseBandwidth>{bandwidth}</relativeReceiverNoiseBandwidth>" if bandwidth else ""
    parallel = f"<parallelImaging><calibrationMode>{calibration}</calibrationMode></parallelImaging>" if calibration else ""
    return (
        '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        "<subjectInformation><patientName>Doe</patientName></subjectInformation>"
        f"<acquisitionSystemInformation>{system}</acquisitionSystemInformation><encoding>"
        + space.format("encodedSpace", SAMPLES, COLUMNS, 32.0, 30.0)
        + space.format("reconSpace", ROWS, recon_y, 16.0, 3.0 * recon_y)
        + f"<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>9</maximum><center>{center}</center>"
        f"</kspace_encoding_step_1></encodingLimits><trajectory>{trajectory}</trajectory>{parallel}</encoding></ismrmrdHeader>"
    ).encode()


class MRDWriter:
    """A short way to write acquisitions; slices are oblique and 7 mm apart."""

    read, phase = np.array([0.0, 0.6, 0.8]), np.array([1.0, 0.0, 0.0])
    normal = np.cross(read, phase)
    origin = np.array([10.0, -20.0, 30.0])

    def __init__(self, path, header):
        ismrmrd = pytest.importorskip("ismrmrd")
        self.package = ismrmrd
        self.dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
        self.dataset.write_xml_header(header)

    def line(self, data, step=0, *, slice=0, flags=(), center=SAMPLES // 2, time_us=2.0, pre=0, post=0, **counters):
        acquisition = self.package.Acquisition.from_array(
            np.ascontiguousarray(data), center_sample=center, sample_time_us=time_us, discard_pre=pre, discard_post=post
        )
        acquisition.idx.kspace_encode_step_1, acquisition.idx.slice = step, slice
        for name, value in counters.items():
            setattr(acquisition.idx, name, value)
        acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = self.read, self.phase, self.normal
        acquisition.position[:] = self.origin + 7.0 * slice * self.normal
        for flag in flags:
            acquisition.set_flag(flag)
        self.dataset.append_acquisition(acquisition)

    def image(self, kspace, steps=range(COLUMNS), **options):
        for step in steps:
            self.line(kspace[:, :, step], step, **options)


def complex_normal(seed, *shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


@pytest.fixture
def kspace():
    return complex_normal(0, 2, COILS, SAMPLES, COLUMNS)


def write(path, fill, **header):
    writer = MRDWriter(path, xml(**header))
    fill(writer)
    writer.dataset.close()
    return path


def image_of(kspace):
    return ifft2c(torch.from_numpy(kspace))[..., 4:12, :]


def test_two_slices_in_any_order(tmp_path, kspace):
    def fill(writer):
        for step in (3, 1, 9, 0, 2, 4, 8, 6, 5, 7):
            for slice in (1, 0):
                writer.line(kspace[slice, :, :, step], step, slice=slice)

    with read_kspace(write(tmp_path / "a.mrd", fill)) as file:
        assert file.kind == "ISMRMRD" and file.shape == (2, COILS, ROWS, COLUMNS) and not file.has_noise
        for index, scan in enumerate(file):
            torch.testing.assert_close(ifft2c(scan.kspace)[0], image_of(kspace[index]), rtol=0, atol=1e-5)
            assert torch.equal(scan.mask, torch.ones(1, COLUMNS)) and scan.crop == (8, 8)
            assert scan.pixel_mm == (2.0, 3.0, 5.0) and scan.acs is None and scan.noise is None


def test_undersampled_lines_land_around_the_centre(tmp_path, kspace):
    steps = (1, 3, 4, 6)  # the header says that step 4 is the centre of k-space, which is column 5
    file = read_kspace(write(tmp_path / "a.h5", lambda w: w.image(kspace[0], steps), center=4))
    scan = file[0]
    assert torch.nonzero(scan.mask[0]).flatten().tolist() == [2, 4, 5, 7]
    assert not scan.kspace[..., scan.mask[0] == 0].any()
    shifted = np.zeros_like(kspace[0])
    shifted[:, :, [2, 4, 5, 7]] = kspace[0][:, :, steps]
    torch.testing.assert_close(ifft2c(scan.kspace)[0], image_of(shifted), rtol=0, atol=1e-5)
    outside = write(tmp_path / "b.h5", lambda w: w.image(kspace[0], (9,)), center=4 - 5)
    with pytest.raises(InputError, match=r"b\.h5 has lines that fall outside its grid"):
        read_kspace(outside)


def test_averages_and_their_noise(tmp_path, kspace):
    noise = complex_normal(1, COILS, 5000)

    def fill(writer):
        writer.line(noise[:, :3000], flags=(19,), time_us=8.0)
        writer.line(noise[:, 3000:], flags=(19,), time_us=8.0)
        writer.image(kspace[0], average=0)
        writer.image(kspace[1], average=1)

    file = read_kspace(write(tmp_path / "a.h5", fill, bandwidth=0.8))
    scan = file[0]
    assert file.has_noise and file.shape[0] == 1
    torch.testing.assert_close(ifft2c(scan.kspace)[0], image_of(kspace.mean(0)), rtol=0, atol=1e-5)
    expected = noise * np.sqrt(8.0 / 2.0 / 0.8 / 2)  # dwell time ratio, receiver bandwidth, two averages
    torch.testing.assert_close(scan.noise, torch.from_numpy(expected.astype(np.complex64)), rtol=1e-5, atol=1e-6)


def test_repetitions_say_so(tmp_path, kspace):
    def fill(writer):
        writer.image(kspace[0], repetition=0)
        writer.image(kspace[1], repetition=1)

    path = write(tmp_path / "a.h5", fill)
    file = read_kspace(path)
    assert file.notes == ("The file holds 2 of repetition; only repetition 0 is read.",)
    torch.testing.assert_close(ifft2c(file[0].kspace)[0], image_of(kspace[0]), rtol=0, atol=1e-5)
    found = inspect_file(path)
    assert "repetition 0" in found["notes"] and found["orientation"] == "yes" and "Doe" not in str(found)


@pytest.mark.parametrize(("mode", "columns"), [("embedded", [0, 3, 4, 5, 6]), ("separate", [0, 3, 6])])
def test_calibration_lines(tmp_path, kspace, mode, columns):
    def fill(writer):
        writer.image(kspace[0], (0,))
        writer.image(kspace[0], (4, 5), flags=(20,))
        writer.image(kspace[0], (3, 6), flags=(21,))

    scan = read_kspace(write(tmp_path / "a.h5", fill, calibration=mode))[0]
    assert torch.nonzero(scan.mask[0]).flatten().tolist() == columns
    assert scan.acs == (4 if mode == "embedded" else None)


def test_calibration_width():
    assert calibration_width(np.arange(3, 7), 10) == 4  # an even block: 5 - 2 to 5 + 1
    assert calibration_width(np.arange(4, 7), 10) == 3
    assert calibration_width(np.array([4, 5, 8]), 10) == 2
    assert calibration_width(np.arange(9), 9) == 9
    assert calibration_width(np.array([0, 1]), 10) is None


def test_asymmetric_echo(tmp_path, kspace):
    full = kspace[0].copy()
    full[:, :6] = 0

    def fill(writer):
        for step in range(COLUMNS):  # two invalid samples before, one after
            line = np.concatenate([np.full((COILS, 2), 9), full[:, 6:, step], np.full((COILS, 1), 9)], 1).astype(np.complex64)
            writer.line(line, step, center=8 - 6 + 2, pre=2, post=1)

    scan = read_kspace(write(tmp_path / "a.h5", fill))[0]
    assert scan.mask.shape == (ROWS, COLUMNS) and scan.mask[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    torch.testing.assert_close(scan.kspace[0], fft2c(image_of(full)) * scan.mask, rtol=0, atol=1e-5)


def test_affine_is_ras_and_points_at_the_centre(tmp_path, kspace):
    def fill(writer):
        for slice in (0, 1):
            writer.image(kspace[slice], slice=slice)

    affine = read_kspace(write(tmp_path / "a.h5", fill))[1].affine
    flip = np.array([-1, -1, 1])
    centre = MRDWriter.origin * flip
    np.testing.assert_allclose((affine @ [4, 4, 0, 1])[:3], centre, atol=1e-5)  # the origin of an 8 x 8 image
    np.testing.assert_allclose(affine[:3, 0], 2 * MRDWriter.read * flip, atol=1e-6)
    np.testing.assert_allclose(affine[:3, 1], 3 * MRDWriter.phase * flip, atol=1e-6)
    np.testing.assert_allclose(affine[:3, 2], 7 * MRDWriter.normal * flip, atol=1e-5)


def test_what_is_not_read(tmp_path, kspace):
    cases = {
        "spiral trajectory": ({"trajectory": "spiral"}, lambda w: w.image(kspace[0])),
        "3-D scan": ({}, lambda w: w.image(kspace[0], kspace_encode_step_2=2)),
        "in reverse": ({}, lambda w: w.image(kspace[0], flags=(22,))),
        "no lines of an image": ({}, lambda w: w.image(kspace[0], flags=(19,))),
    }
    for number, (match, (header, fill)) in enumerate(cases.items()):
        with pytest.raises(InputError, match=rf"{number}\.h5.*{match}"):
            read_kspace(write(tmp_path / f"{number}.h5", fill, **header))


def test_short_line_and_nan(tmp_path, kspace):
    import h5py

    path = write(tmp_path / "a.h5", lambda w: w.image(kspace[0]))
    with h5py.File(path, "r+") as file:
        record = file["dataset/data"][4]
        record["data"] = record["data"][:-4]
        file["dataset/data"][4] = record
    with pytest.raises(InputError, match=r"a\.h5: a line stores 92 numbers"):
        read_kspace(path)[0]
    broken = kspace[0].copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"b\.h5: slice 0 holds NaN"):
        read_kspace(write(tmp_path / "b.h5", lambda w: w.image(broken)))[0]


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
