"""The ISMRMRD XML header: geometry is read, hostile or damaged XML is refused."""

import pytest
from helpers.mrd import xml

from medrestore.errors import InputError
from medrestore.io.kspace.header import parse_header


def test_geometry():
    header = parse_header(xml(trajectory="Cartesian", center=4, calibration="embedded", bandwidth=0.79).decode(), "a")
    assert header.encoded == (16, 10, 1) and header.recon == (8, 8, 1)
    assert header.encoded_mm == (32.0, 30.0, 5.0) and header.recon_mm == (16.0, 24.0, 5.0)
    assert (header.center, header.maximum) == (4, 9)
    assert (header.trajectory, header.calibration, header.noise_bandwidth) == ("cartesian", "embedded", 0.79)


def test_what_is_missing_is_none():
    header = parse_header(xml().decode().replace("<center>5</center>", ""), "a")
    assert header.center is None and header.calibration is None and header.noise_bandwidth is None
    zero = xml().decode().replace("<x>32.0</x>", "<x>0</x>")
    assert parse_header(zero, "a").encoded_mm is None  # as anonymisers leave it


@pytest.mark.parametrize(("old", "new", "match"), [
    ("<ismrmrdHeader", "<!DOCTYPE x [<!ENTITY a 'b'>]><ismrmrdHeader", "document type"),
    ("</ismrmrdHeader>", "", "damaged"),
    ("<encoding>", "<encodings>", "damaged"),
    ("<x>16</x>", "<x>many</x>", "lacks matrix sizes"),
    ("<x>16</x>", "<x>70000</x>", "lacks matrix sizes"),
    ("<x>16</x>", "", "lacks matrix sizes"),
])
def test_hostile_and_damaged_headers_are_refused(old, new, match):
    with pytest.raises(InputError, match=f"scan.h5: .*{match}"):
        parse_header(xml().decode().replace(old, new), "scan.h5")


def test_no_encoding_and_too_long():
    with pytest.raises(InputError, match="describes no encoding"):
        parse_header('<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"/>', "a")
    with pytest.raises(InputError, match="too long"):
        parse_header(xml().decode() + " " * (1 << 20), "a")


def test_what_the_image_keeps():
    header = parse_header(xml().decode(), "a")
    assert header.kept == (8, 8) and header.pixel_mm == (2.0, 3.0, 5.0) and not header.is_interpolated(0)
    interpolated = xml().decode().replace("<x>8</x><y>8</y>", "<x>16</x><y>24</y>")  # finer pixels in the same field of view
    assert parse_header(interpolated, "a").kept == (8, 8) and parse_header(interpolated, "a").is_interpolated(1)
    unknown = interpolated.replace("<x>16.0</x>", "<x>0</x>")
    assert parse_header(unknown, "a").kept == (16, 10)
