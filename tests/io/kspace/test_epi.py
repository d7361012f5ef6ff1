"""Echo-planar scans: the gradient, regridding, the ghost, and what is refused."""

import itertools

import numpy as np
import pytest
import torch
from helpers.mrd import COILS, COLUMNS, MRDWriter, xml

from medrestore.errors import InputError
from medrestore.fft import fft2c, ifft2c
from medrestore.io import read_kspace
from medrestore.io.kspace.epi import Trapezoid, difference, regridding

N = 16  # of the encoded readout
RAMPS = Trapezoid(up=20.0, flat=40.0, down=20.0, delay=4.0, dwell=4.8)  # 16 samples, 7 of them on ramps
FLAT = Trapezoid(up=20.0, flat=80.0, down=20.0, delay=20.0, dwell=5.0)


def test_positions_are_the_integral_of_the_gradient() -> None:
    t = np.linspace(0, RAMPS.whole, 80001)
    gradient = np.clip(np.minimum(t / RAMPS.up, (RAMPS.whole - t) / RAMPS.down), 0, 1)
    k = np.concatenate([[0], np.cumsum((gradient[1:] + gradient[:-1]) / 2 * np.diff(t))])
    at = np.interp(RAMPS.delay + RAMPS.dwell * np.arange(16), t, k)
    np.testing.assert_allclose(RAMPS.positions(16), (at - at[0]) / (at[-1] - at[0]) - 0.5, atol=1e-6)
    assert not RAMPS.is_flat(16) and FLAT.is_flat(16)
    np.testing.assert_allclose(FLAT.positions(16), np.arange(16) / 15 - 0.5, atol=1e-12)


def test_regridding_gives_the_cartesian_line_of_an_object_in_the_field_of_view() -> None:
    image = np.zeros(N, complex)
    image[4:12] = np.arange(1, 9) * np.exp(1j * np.arange(8))
    x = (np.arange(N) - N // 2) / N
    k = RAMPS.positions(16) * (N - 1) - 0.5
    measured = np.exp(-2j * np.pi * k[:, None] * x) @ image
    cartesian = np.exp(-2j * np.pi * (np.arange(N) - N // 2)[:, None] * x) @ image
    np.testing.assert_allclose(regridding(k, N) @ measured, cartesian, atol=1e-3 * abs(cartesian).max())


def test_the_phase_between_directions() -> None:
    forward = np.exp(1j * np.arange(2 * N)).reshape(2, N) * 3
    x = np.arange(N) - N // 2
    slope, offset = difference(forward, forward * np.exp(1j * (0.7 - 0.11 * x)))
    assert slope == pytest.approx(-0.11) and offset == pytest.approx(0.7)


def header(trapezoid: Trapezoid | None) -> bytes:
    text = xml(trajectory="epi").decode()
    if trapezoid is None:
        return text.encode()
    names = {"rampUpTime": trapezoid.up, "flatTopTime": trapezoid.flat, "rampDownTime": trapezoid.down,
             "acqDelayTime": trapezoid.delay}
    entries = "".join(f"<userParameterLong><name>{name}</name><value>{value:g}</value></userParameterLong>"
                      for name, value in names.items())
    entries += f"<userParameterDouble><name>dwellTime</name><value>{trapezoid.dwell}</value></userParameterDouble>"
    described = f"<trajectoryDescription><identifier>ConventionalEPI</identifier>{entries}</trajectoryDescription>"
    return text.replace("</trajectory>", f"</trajectory>{described}").encode()


def head() -> torch.Tensor:
    """(coil, x, y) of an object in the middle half of the readout."""
    random = np.random.default_rng(0)
    image = np.zeros((COILS, N, COLUMNS), np.complex64)
    image[:, 5:11, 2:8] = 1 + 0.3 * random.standard_normal((COILS, 6, 6)) + 0.3j * random.standard_normal((COILS, 6, 6))
    return torch.from_numpy(image)


def scanned(path, trapezoid, *, navigators=True, shots=1, slices=1, repetitions=1, **line):
    """An echo-planar scan of `head`, whose lines differ by a delay and a phase that is another in each shot and repetition."""
    writer, image = MRDWriter(path, header(trapezoid)), head()
    x = (np.arange(N) - N // 2) / N
    along_y = fft2c(image, axes=(-1,)).numpy()  # (coil, x, ky)

    def read(profile, reverse, shot, **options):
        """A line whose image along x is `profile` (coil, x)."""
        delay, phase = (0.4, 0.5 + shot) if reverse else (-0.3, 0.0)
        k = (np.arange(N) - N // 2 if trapezoid is None or trapezoid.is_flat(N) else trapezoid.positions(N) * (N - 1) - 0.5)
        k = -1 - k if reverse else k
        data = (profile * np.exp(1j * (phase + 2 * np.pi * delay * x))) @ np.exp(-2j * np.pi * k[:, None] * x).T / N**0.5
        writer.line(data.astype(np.complex64), flags=((22,) if reverse else ()) + options.pop("flags", ()), **options, **line)

    for repetition, slice_, shot in itertools.product(range(repetitions), range(slices), range(shots)):
        of, phase = {"slice": slice_, "repetition": repetition}, shot + 0.8 * repetition
        for reverse in (False, True, False) if navigators else ():
            read(along_y[:, :, COLUMNS // 2] * (1 + slice_), reverse, phase, flags=(24,), **of)
        for step in range(shot, COLUMNS, shots):
            read(along_y[:, :, step] * (1 + slice_), bool((step // shots) % 2), phase, step=step, **of)
    writer.dataset.close()
    return path


@pytest.mark.parametrize("trapezoid", [None, FLAT, RAMPS])
@pytest.mark.parametrize("shots", [1, 2])
def test_the_ghost_is_gone(tmp_path, trapezoid, shots):
    file = read_kspace(scanned(tmp_path / "e.h5", trapezoid, shots=shots, slices=2), implausible=True)
    truth = head()[:, 4:12].abs()
    for slice_ in (0, 1):
        found = ifft2c(file[slice_].kspace)[0].abs() / (1 + slice_)
        assert float((found - truth).abs().max()) < 0.02 * float(truth.max())
    assert "both ways (EPI)" in file.notes[-1 if trapezoid is not RAMPS else -2]
    assert (trapezoid is RAMPS) == any("regridded" in note for note in file.notes)


@pytest.mark.parametrize("options", [{"select": {"repetition": 1}}, {"separate": ("repetition",)}, {}])
def test_each_repetition_is_freed_of_its_own_ghost(tmp_path, options):
    """Navigators of repetitions that are not read are not those of the one that is."""
    file = read_kspace(scanned(tmp_path / "e.h5", None, repetitions=3), implausible=True, **options)
    truth = head()[:, 4:12].abs()
    for index in range(file.shape[0]):
        assert float((ifft2c(file[index].kspace)[0].abs() - truth).abs().max()) < 0.02 * float(truth.max())


def test_without_correction_there_would_be_a_ghost(tmp_path, monkeypatch):
    monkeypatch.setattr("medrestore.io.kspace.epi.difference", lambda forward, backward: (0.0, 0.0))
    file = read_kspace(scanned(tmp_path / "e.h5", None), implausible=True)
    truth = head()[:, 4:12].abs()
    assert float((ifft2c(file[0].kspace)[0].abs() - truth).abs().max()) > 0.2 * float(truth.max())


@pytest.mark.parametrize(("options", "why"), [
    ({"navigators": False}, "no navigator lines of both directions for slice 0"),
    ({"pre": 2}, "discards samples of echo-planar lines"),
])
def test_what_is_refused(tmp_path, options, why):
    with pytest.raises(InputError, match=why):
        read_kspace(scanned(tmp_path / "e.h5", None, **options), implausible=True)


def test_times_that_are_no_gradient(tmp_path):
    path = scanned(tmp_path / "e.h5", Trapezoid(up=20.0, flat=10.0, down=20.0, delay=4.0, dwell=4.8))
    with pytest.raises(InputError, match="hold no line of 16 samples"):
        read_kspace(path, implausible=True)[0]
