"""fastMRI volumes, synthesised exactly as the data set lays them out."""

import h5py
import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.fft import fft2c, ifft2c
from medrestore.io import inspect_file, read_kspace


def xml(encoded=(12, 10), recon=(6, 6), center=None, maximum=None, before=""):
    center = encoded[1] // 2 if center is None else center
    maximum = encoded[1] - 1 if maximum is None else maximum
    space = "<{0}><matrixSize><x>{1}</x><y>{2}</y><z>1</z></matrixSize>"
    space += "<fieldOfView_mm><x>{3}</x><y>{4}</y><z>3</z></fieldOfView_mm></{0}>"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{before}<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
        "<subjectInformation><patientName>Doe^Jane</patientName></subjectInformation><encoding>"
        + space.format("encodedSpace", *encoded, 24.0, 10.0)
        + space.format("reconSpace", *recon, 24.0 * recon[0] / max(encoded[0], 1), 10.0 * recon[1] / encoded[1])
        + "<encodingLimits><kspace_encoding_step_1><minimum>0</minimum>"
        f"<maximum>{maximum}</maximum><center>{center}</center></kspace_encoding_step_1></encodingLimits>"
        "<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"
    )


def complex_normal(seed, *shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def write(path, kspace, *, header=None, attrs=None, **arrays):
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        if header is not None:
            file["ismrmrd_header"] = header.encode()
        for name, array in arrays.items():
            file[name] = array
        file.attrs.update({"acquisition": "AXT2", "patient_id": "0a1b2c3d", **(attrs or {})})
    return path


def cropped(kspace, rows):
    image = ifft2c(torch.from_numpy(kspace))
    start = (kspace.shape[-2] - rows) // 2
    return image[..., start : start + rows, :]


def test_training_volume(tmp_path):
    kspace = complex_normal(0, 3, 4, 12, 10)
    reference = np.abs(complex_normal(1, 3, 6, 6))
    path = write(tmp_path / "file1.h5", kspace, header=xml(), reconstruction_rss=reference, attrs={"max": 99.0})
    with read_kspace(path) as file:
        assert (len(file), file.shape, file.kind) == (3, (3, 4, 6, 10), "fastMRI multi-coil")
        assert file.reference_max == pytest.approx(float(reference.max()))
        for index, scan in enumerate(file):
            assert (scan.name, scan.index, scan.crop) == ("file1", index, (6, 6))
            assert scan.kspace.dtype == torch.complex64 and scan.mask.dtype == torch.float32
            torch.testing.assert_close(ifft2c(scan.kspace)[0], cropped(kspace[index], 6), rtol=0, atol=1e-5)
            assert torch.equal(scan.mask, torch.ones(1, 10))
            assert torch.equal(scan.reference, torch.from_numpy(reference[index]))
            assert (scan.acs, scan.noise, scan.affine) == (None, None, None)
            assert scan.pixel_mm == (2.0, 1.0, 3.0)
        assert torch.equal(file[-1].kspace, file[2].kspace)
        with pytest.raises(IndexError):
            file[3]


def test_reference_matches_the_image_of_the_scan(tmp_path):
    kspace = complex_normal(2, 1, 3, 16, 12)
    image = cropped(kspace, 8)[..., 2:10]
    reference = image.abs().square().sum(1).sqrt().numpy()
    path = write(tmp_path / "a.h5", kspace, header=xml((16, 12), (8, 8)), reconstruction_rss=reference)
    scan = read_kspace(path)[0]
    left = (12 - scan.crop[1]) // 2
    rss = ifft2c(scan.kspace)[0, :, :, left : left + scan.crop[1]].abs().square().sum(0).sqrt()
    torch.testing.assert_close(rss, scan.reference, rtol=1e-5, atol=1e-5)


def test_test_volume_has_its_mask_and_calibration(tmp_path):
    mask = np.array([1, 0, 0, 1, 1, 1, 0, 0, 1, 0], dtype=bool)
    kspace = complex_normal(3, 2, 4, 12, 10) * mask
    path = write(tmp_path / "t.h5", kspace, header=xml(), mask=mask, attrs={"num_low_frequency": 3, "acceleration": 4})
    file = read_kspace(path)
    scan = file[1]
    assert file.reference_max is None and scan.reference is None and scan.acs == 3
    assert torch.equal(scan.mask, torch.from_numpy(mask).float()[None])
    assert not scan.kspace[..., ~mask].any() and scan.kspace[..., mask].abs().min() > 0
    assert scan.crop == (6, 6)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_mask_of_any_number(tmp_path, kind):
    mask = np.array([0, 1, 1, 0, 1], dtype=kind)
    path = write(tmp_path / "t.h5", complex_normal(3, 1, 2, 6, 5), mask=mask)
    scan = read_kspace(path)[0]
    assert torch.equal(scan.mask, torch.from_numpy(mask).float()[None])
    assert not scan.kspace[..., mask == 0].any()


def test_padded_columns_are_not_sampled(tmp_path):
    kspace = complex_normal(4, 1, 2, 12, 10)  # the padding holds rubbish, which has to go
    path = write(tmp_path / "p.h5", kspace, header=xml(center=3, maximum=6))  # padding_left = 5 - 3 = 2, right = 9
    scan = read_kspace(path)[0]
    assert scan.mask.tolist() == [[0, 0, 1, 1, 1, 1, 1, 1, 1, 0]]
    assert not scan.kspace[..., [0, 1, 9]].any()
    stored = write(tmp_path / "q.h5", kspace, header=xml(center=3, maximum=6), mask=np.ones(10, bool))
    assert torch.equal(read_kspace(stored)[0].mask, scan.mask)


def test_singlecoil_prefers_its_own_reference(tmp_path):
    kspace = complex_normal(5, 2, 12, 10)
    esc, rss = np.full((2, 6, 6), 2.0, np.float32), np.full((2, 6, 6), 3.0, np.float32)
    path = write(tmp_path / "s.h5", kspace, header=xml(), reconstruction_esc=esc, reconstruction_rss=rss)
    file = read_kspace(path)
    assert file.shape == (2, 1, 6, 10) and file.kind == "fastMRI single-coil" and file.reference_max == 2.0
    assert torch.equal(file[0].reference, torch.from_numpy(esc[0]))
    torch.testing.assert_close(ifft2c(file[1].kspace)[0, 0], cropped(kspace[1], 6), rtol=0, atol=1e-5)


def test_odd_sizes_start_the_crop_at_the_lower_half(tmp_path):
    kspace = complex_normal(6, 1, 2, 13, 9)
    scan = read_kspace(write(tmp_path / "o.h5", kspace, header=xml((13, 9), (6, 5))))[0]
    assert scan.kspace.shape == (1, 2, 6, 9) and scan.crop == (6, 5)
    torch.testing.assert_close(ifft2c(scan.kspace)[0], cropped(kspace[0], 6), rtol=0, atol=1e-5)


def test_oversampling_removal_keeps_the_noise_std(tmp_path):
    kspace = complex_normal(7, 1, 4, 256, 128)
    kspace *= 3.0
    scan = read_kspace(write(tmp_path / "n.h5", kspace, header=xml((256, 128), (128, 128))))[0]
    assert float(torch.view_as_real(scan.kspace).std()) == pytest.approx(3.0, rel=0.01)


def test_narrow_flair_is_cropped_to_its_width(tmp_path):
    narrow = write(tmp_path / "f.h5", complex_normal(8, 1, 2, 20, 7), header=xml((20, 7), (10, 10)))
    assert read_kspace(narrow)[0].crop == (7, 7)
    reference = np.arange(100, dtype=np.float32).reshape(1, 10, 10)
    both = write(tmp_path / "g.h5", complex_normal(8, 1, 2, 20, 7), header=xml((20, 7), (10, 10)), reconstruction_rss=reference)
    scan = read_kspace(both)[0]
    assert scan.crop == (7, 7) and torch.equal(scan.reference, torch.from_numpy(reference[0, 1:8, 1:8]))


def test_without_a_header(tmp_path):
    kspace = complex_normal(9, 1, 2, 12, 10)
    plain = read_kspace(write(tmp_path / "a.h5", kspace))[0]
    assert torch.equal(plain.kspace[0], torch.from_numpy(kspace[0])) and plain.crop == (12, 10) and plain.pixel_mm is None
    reference = np.ones((1, 6, 8), np.float32)
    twice = read_kspace(write(tmp_path / "b.h5", kspace, reconstruction_rss=reference))[0]
    assert twice.kspace.shape == (1, 2, 6, 10) and twice.crop == (6, 8)
    torch.testing.assert_close(twice.kspace, fft2c(cropped(kspace, 6)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("before", ['<!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>', "<! doctype x>"])
def test_entity_bomb_is_refused(tmp_path, before):
    path = write(tmp_path / "bomb.h5", complex_normal(0, 1, 2, 12, 10), header=xml(before=before))
    with pytest.raises(InputError, match=r"bomb\.h5.*document type"):
        read_kspace(path)


@pytest.mark.parametrize("header", ["<ismrmrdHeader", "<a/>", xml(encoded=(0, 10))])
def test_damaged_header(tmp_path, header):
    with pytest.raises(InputError, match=r"x\.h5.*header"):
        read_kspace(write(tmp_path / "x.h5", complex_normal(0, 1, 2, 12, 10), header=header))


def test_wrong_parts_are_refused(tmp_path):
    kspace = complex_normal(0, 2, 2, 12, 10)
    with pytest.raises(InputError, match="'mask' has the shape"):
        read_kspace(write(tmp_path / "m.h5", kspace, mask=np.ones(9, bool)))
    with pytest.raises(InputError, match="not one real image for each"):
        read_kspace(write(tmp_path / "r.h5", kspace, reconstruction_rss=np.ones((3, 6, 6), np.float32)))


def test_only_one_slice_is_read_and_its_nan_found(tmp_path):
    kspace = complex_normal(0, 3, 2, 12, 10)
    kspace[1, 0, 4, 4] = np.nan
    file = read_kspace(write(tmp_path / "nan.h5", kspace, header=xml()))
    assert torch.isfinite(torch.view_as_real(file[0].kspace)).all()
    with pytest.raises(InputError, match=r"nan\.h5: slice 1 holds NaN"):
        file[1]


def test_inspection_says_no_patient_data(tmp_path):
    mask = np.array([1, 0, 0, 1, 1, 1, 0, 0, 1, 0], dtype=bool)
    path = write(tmp_path / "i.h5", complex_normal(1, 2, 4, 12, 10) * mask, header=xml(), mask=mask)
    found = inspect_file(path)
    assert found["kind"] == "fastMRI multi-coil" and found["sampling"] == "50.0 % (2.00x) along the phase-encode axis"
    assert found["header"] == "yes" and found["reference"] == "no" and found["shape"].startswith("2 slices, 4 coils, 6 rows")
    assert not any(word in str(found) for word in ("Doe", "Jane", "0a1b2c3d", "patient"))


def interpolated(encoded, encoded_mm, recon, recon_mm):
    """A header whose recon matrix has other pixels than the encoded one."""
    mm = f"<x>{24.0 * recon[0] / encoded[0]}</x><y>{10.0 * recon[1] / encoded[1]}</y>"
    header = xml(encoded, recon).replace(mm, "<x>{}</x><y>{}</y>".format(*recon_mm))
    return header.replace("<x>24.0</x><y>10.0</y>", "<x>{}</x><y>{}</y>".format(*encoded_mm))


def test_an_interpolated_recon_matrix_is_cropped_by_its_field_of_view(tmp_path):
    header = interpolated((32, 19), (460, 204.5), (32, 36), (230, 194))
    scan = read_kspace(write(tmp_path / "a.h5", complex_normal(1, 1, 2, 32, 19), header=header))[0]
    assert scan.kspace.shape == (1, 2, 16, 19) and scan.crop == (16, 18)
    assert scan.pixel_mm == pytest.approx((460 / 32, 204.5 / 19, 3))


def test_a_header_of_another_grid_is_left_aside_and_said(tmp_path):
    kspace = complex_normal(2, 1, 2, 12, 9)
    narrow = read_kspace(write(tmp_path / "n.h5", kspace, header=xml(center=3, maximum=6)))  # of 10 columns
    assert narrow.notes == (
        "The header describes 12 x 10 samples and the array has 12 x 9; its limits and fields of view are left aside.",)
    assert narrow.shape == (1, 2, 6, 9) and torch.equal(narrow[0].mask, torch.ones(1, 9)) and narrow[0].pixel_mm is None
    other = read_kspace(write(tmp_path / "o.h5", complex_normal(2, 1, 2, 8, 10), header=xml()))
    assert other.shape == (1, 2, 8, 10) and "it is left aside" in other.notes[0]
    cut = read_kspace(write(tmp_path / "c.h5", complex_normal(2, 1, 2, 6, 10), header=xml()))  # oversampling removed before
    assert cut.notes == () and cut.shape == (1, 2, 6, 10) and cut[0].pixel_mm == (2.0, 1.0, 3.0)


def test_a_stored_mask_is_held_against_the_samples(tmp_path):
    kspace = complex_normal(3, 1, 2, 12, 10) * np.array([1, 1, 0, 1, 1, 1, 1, 0, 1, 1])
    mask = np.array([0, 1, 1, 1, 1, 1, 1, 0, 1, 1])
    scan = read_kspace(write(tmp_path / "m.h5", kspace, mask=mask))[0]
    assert scan.mask.tolist() == [[0, 1, 0, 1, 1, 1, 1, 0, 1, 1]]
    assert scan.notes == ("1 columns that hold samples are left out, as the stored mask says.",
                          "1 columns of the stored mask hold no sample and count as not sampled.")


def test_real_numbers_and_axes_against_the_layout_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"r\.h5: the array \(2, 12, 10, 4\) holds float32, and k-space is complex"):
        read_kspace(write(tmp_path / "r.h5", complex_normal(0, 2, 12, 10, 4).real))
    path = write(tmp_path / "a.h5", complex_normal(0, 2, 4, 12, 10), header=xml())
    with pytest.raises(InputError, match="are slice,coil,row,col, and `axes` says coil,slice,row,col; leave `axes` out"):
        read_kspace(path, axes=("coil", "slice", "row", "col"))
    assert read_kspace(path, axes=("coil", "slice", "row", "col"), implausible=True).shape == (4, 2, 12, 10)
    assert read_kspace(path).shape == read_kspace(path, axes=("slice", "coil", "row", "col")).shape == (2, 4, 6, 10)


def test_uncentred(tmp_path):
    kspace = complex_normal(4, 1, 2, 12, 10) * (np.arange(10) % 3 > 0)
    mask = np.arange(10) % 3 > 0
    path = write(tmp_path / "u.h5", np.fft.ifftshift(kspace, axes=(-2, -1)), mask=np.fft.ifftshift(mask))
    scan = read_kspace(path, uncentred=True)[0]
    assert torch.equal(scan.kspace[0], torch.from_numpy(kspace[0])) and scan.mask[0].tolist() == mask.tolist()
