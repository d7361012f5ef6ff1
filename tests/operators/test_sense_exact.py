"""The exact data steps of the multi-coil encoding."""

import pytest
import torch
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
