"""The exact data steps of the multi-coil encoding."""

import pytest
import torch
from helpers.pretend_device import counting, pretending
from laws import close, white
from torch import Tensor

from medrestore.mri import sampling_mask, simulated_maps
from medrestore.operators import Sense

from .test_sense import SHAPE, maps_of_an_object, sense


@pytest.mark.parametrize(
    "maps",
    [maps_of_an_object(), simulated_maps(5, SHAPE, generator=torch.Generator())],
    ids=["object", "everywhere"],
)
def test_spectrum_is_as_large_as_the_object(maps: Tensor) -> None:
    plain = sense("uniform1d", maps)
    A = plain.spectral(cutoff=1e-4)
    seen = (maps != 0).any(1)[0]
    rows, columns = (seen.any(axis).nonzero()[:, 0] for axis in (1, 0))
    height, width = (int(n[-1] - n[0] + 1) for n in (rows, columns))
    assert A.basis.shape == (height, width, width)
    S = A.spectrum
    assert not S.s[~seen.any(1)].any() and not S.s[:, ~seen.any(0)].any()
    for images in (1, 3):
        x = white((images, 1, *SHAPE), torch.complex64)
        close(S.synthesise(S.s.square() * S.analyse(x)), plain.adjoint(plain(x)), 1e-5)
        close(torch.cat([S.synthesise(one) for one in x.split(1)]), S.synthesise(x), 1e-6)


def test_spectrum_is_the_same_for_any_number_of_threads() -> None:
    A = sense("uniform1d", maps_of_an_object())
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(A.spectral())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].basis, found[1].basis) and torch.equal(found[0].s, found[1].s)


@pytest.mark.parametrize("kind", ["uniform1d", "poisson2d"])
def test_maps_of_nothing(kind: str) -> None:
    A = sense(kind, torch.zeros(1, 3, *SHAPE, dtype=torch.complex64))
    x = white((2, 1, *SHAPE), torch.complex64)
    assert not A.normal(x).any()
    if A.one_axis:
        S = A.spectral().spectrum
        assert torch.equal(S.synthesise(S.analyse(x)), x) and not S.s.any()


@pytest.mark.parametrize("says_so", [True, False])
def test_rows_that_single_precision_cannot_diagonalise(
    says_so: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spectrum is the same when LAPACK gives up on every row in single precision, as it does on some, silently or not."""
    generator = torch.Generator().manual_seed(0)
    sense = Sense(
        simulated_maps(4, (12, 16), generator=generator),
        sampling_mask("uniform1d", (12, 16), 4, acs=4, seed=0).mask,
    )
    expected, eigh = sense.spectral(), torch.linalg.eigh

    def fails(matrix: Tensor) -> tuple[Tensor, Tensor]:
        if matrix.dtype == torch.complex64:
            if says_so:
                raise torch.linalg.LinAlgError("failed to converge")
            return eigh(matrix)[0], torch.full_like(matrix, torch.nan)
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", fails)
    found = Sense(sense.maps, sense.mask).spectral()
    assert torch.allclose(found.s, expected.s, atol=1e-3)
    x = torch.randn(1, 1, 12, 16, dtype=torch.complex64, generator=generator)
    S = found.spectrum
    assert torch.allclose(S.synthesise(S.s**2 * S.analyse(x)), sense.normal(x), atol=1e-5)


@pytest.mark.parametrize("rows", [6, 30])
def test_an_accelerator_decomposes_all_rows_at_once(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many values are read back for any number of rows, and one decomposition is asked for."""
    A = Sense(simulated_maps(4, (rows, 16), generator=torch.Generator().manual_seed(0)),
              sampling_mask("uniform1d", (rows, 16), 4, acs=4, seed=0).mask)
    x = white((2, 1, rows, 16), torch.complex64)
    expected, calls, eigh = A.spectral(cutoff=0.1).spectrum, [], torch.linalg.eigh
    with pretending() as device:
        there = Sense(A.maps.to(device), A.mask.to(device))
        monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: calls.append(matrix.shape) or eigh(matrix))
        with counting() as counts:
            spectral = there.spectral(cutoff=0.1)
        assert calls == [(rows, 16, 16)] and counts.reads <= 5
        S = spectral.spectrum
        close(S.synthesise(S.s * S.analyse(x.to(device))).cpu(), expected.synthesise(expected.s * expected.analyse(x)), 1e-5)
        trust = torch.where(S.s > 0, 0.7, 0.0)
        close(S.correct(x[:1].to(device), trust, S.analyse(x[1:].to(device))).cpu(),
              expected.correct(x[:1], trust.cpu(), expected.analyse(x[1:])), 1e-5)


def test_all_rows_at_once_in_double_precision_where_single_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    A, eigh = sense("uniform1d", maps_of_an_object()), torch.linalg.eigh
    expected = A.spectral(cutoff=0.1)

    def fails(matrix: Tensor) -> tuple[Tensor, Tensor]:
        if matrix.dtype == torch.complex64:
            raise torch.linalg.LinAlgError("failed to converge")
        return eigh(matrix)

    with pretending() as device:
        monkeypatch.setattr(torch.linalg, "eigh", fails)
        there = Sense(A.maps.to(device), A.mask.to(device)).spectral(cutoff=0.1)
        close(there.s.sort(1).values.cpu(), expected.s.sort(1).values, 1e-4)
