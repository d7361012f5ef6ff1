"""The images of the coils of an MRI encoding, in any coordinates."""

from collections.abc import Callable

import pytest
import torch
from helpers.operators import coil_maps, lines, pixels
from laws import white
from torch import Tensor

from medrestore.codecs import Padded, RealToComplex
from medrestore.operators import AveragePool, CoilOperator, LinearOperator, Sense, SingleCoil, SpectralOperator, check, stack

SIZE, FIELD = (12, 10), (16, 16)
FORMS: dict[str, Callable[[], LinearOperator]] = {
    "lines": lambda: Sense(coil_maps(*SIZE), lines(10)),
    "points": lambda: Sense(coil_maps(*SIZE), pixels(*SIZE)),
    "spectral": lambda: Sense(coil_maps(*SIZE), lines(10)).spectral(),
    "resolved": lambda: Sense(coil_maps(*SIZE), lines(10)).resolvent(5.0),
    "single": lambda: SingleCoil(lines(10)),
    "weighted": lambda: Sense(coil_maps(*SIZE), lines(10) * torch.linspace(0.2, 1, 10)),
}
VIEWS = {"image": None, "channels": RealToComplex(), "field": RealToComplex() @ Padded(FIELD, SIZE).linear}


def seen(form: str, view: str) -> tuple[CoilOperator, Tensor]:
    """An encoding in some coordinates, and two images in these."""
    operator, inner = FORMS[form](), VIEWS[view]
    A = operator if inner is None else operator @ inner
    assert isinstance(A, CoilOperator)
    return A, white((2, 1, *SIZE), torch.complex64) if inner is None else white((2, 2, *(FIELD if view == "field" else SIZE)))


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).real.sum()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("form", FORMS)
def test_what_is_measured_of_each_coil_is_what_the_encoding_measures(form: str, view: str) -> None:
    A, x = seen(form, view)
    coils = A.coils
    images = coils.spread(x)
    assert images.shape == (2 * coils.count, *x.shape[1:])
    torch.testing.assert_close(coils.measure(images).reshape(2, coils.count, *SIZE), A(x), rtol=1e-4, atol=1e-5)
    other = white(tuple(images.shape), images.dtype, seed=1)
    torch.testing.assert_close(inner(other, images), inner(coils.combine(other), x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("view", VIEWS)
def test_maps_of_unit_norm_are_undone_by_combining(view: str) -> None:
    A, x = seen("points", view)
    inside = A.support if A.support is not None else torch.ones(())
    torch.testing.assert_close(inside * A.coils.combine(A.coils.spread(x)),
                               inside * (x if view != "field" else A.inner.adjoint(A.inner(x))), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(A.coils.root(A.coils.spread(x)), A.coils.combine(A.coils.spread(x)), rtol=1e-4, atol=1e-5)


def test_the_root_of_the_sum_of_squares_has_the_phase_of_the_combination() -> None:
    A, _ = seen("points", "image")
    images = white((2 * A.coils.count, 1, *SIZE), torch.complex64)
    root, combined = A.coils.root(images), A.coils.combine(images)
    want = images.reshape(2, -1, *SIZE).abs().square().sum(1, keepdim=True).sqrt()
    there = combined.abs() > 1e-6
    torch.testing.assert_close(root.abs()[there], want[there])
    torch.testing.assert_close(torch.sgn(root[there]), torch.sgn(combined[there]))


def test_encodings_side_by_side_have_their_coils_side_by_side() -> None:
    inner = RealToComplex()
    parts = [Sense(coil_maps(*SIZE).roll(k, 1), lines(10).roll(k, -1)) @ inner for k in range(3)]
    A, x = stack([parts[0], parts[0], parts[1], parts[2]]), white((4, 2, *SIZE))
    assert isinstance(A, CoilOperator)
    each = [part.coils for part in (parts[0], parts[0], parts[1], parts[2])]
    images = A.coils.spread(x)
    torch.testing.assert_close(images, torch.cat([coils.spread(x[k : k + 1]) for k, coils in enumerate(each)]))
    torch.testing.assert_close(A.coils.combine(images), torch.cat([
        coils.combine(some) for coils, some in zip(each, images.split(A.coils.count), strict=True)]))
    torch.testing.assert_close(A.coils.measure(images).reshape(4, A.coils.count, *SIZE), A(x), rtol=1e-4, atol=1e-5)
    assert not isinstance(stack([parts[0], AveragePool(2, SIZE) @ inner]), CoilOperator)


def test_a_coil_with_weighted_samples_is_a_spectral_operator() -> None:
    weighted = SingleCoil(lines(10) * torch.linspace(0.2, 1, 10))
    assert isinstance(weighted, SpectralOperator)
    check(weighted, (1, *SIZE), dtype=torch.complex64)
    x = white((1, 1, *SIZE), torch.complex64)
    torch.testing.assert_close(weighted(x), Sense(torch.ones(1, 1, *SIZE, dtype=torch.complex64), weighted.mask)(x))
