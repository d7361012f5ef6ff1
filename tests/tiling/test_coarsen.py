"""Coarser problems against the full ones they come from."""

import pytest
import torch
from laws import close, laws_of, white

from medrestore.codecs import ComplexChannels, Interval
from medrestore.operators import AveragePool, Crop, Grayscale, Identity, LinearOperator, Mask, SingleCoil
from medrestore.problem import Problem
from medrestore.tiling import coarsen

SIZE = (24, 16)
KEEP = torch.ones(SIZE)
KEEP[3:9, 5:12] = 0
COARSE_KEEP = KEEP[::4, ::4]

LOCAL: dict[str, tuple[LinearOperator, int]] = {  # and over how many pixels factor 2 averages the data
    "identity": (Identity(), 2),
    "mask": (Mask(KEEP), 2),
    "grey": (Grayscale((0.3, 0.6, 0.1)), 2),
    "pool 2": (AveragePool(2, SIZE), 1),
    "pool 4": (AveragePool(4, SIZE), 1),
    "grey mask": (Mask(KEEP) @ Grayscale(), 2),
    "old photo": (Mask(COARSE_KEEP) @ Grayscale() @ AveragePool(4, SIZE), 1),
    "part": (Crop(SIZE, (12, 8), (2, 4)), 2),
    "mask of a part": (Mask(KEEP[:12, :8]) @ Crop(SIZE, (12, 8), (2, 4)), 2),
}


@pytest.mark.parametrize(("A", "rest"), LOCAL.values(), ids=LOCAL)
def test_a_coarser_problem_measures_the_means(A: LinearOperator, rest: int) -> None:
    x = white((2, 3, *SIZE))
    coarse = coarsen(Problem(A, A(x), 0.3), 2)
    close(coarse.operator(AveragePool(2, SIZE)(x)), coarse.y)
    assert coarse.sigma == pytest.approx(0.3 / rest)
    small = white((2, 3, 12, 8), seed=3)
    for law in laws_of(coarse.operator):
        law(coarse.operator, small, 3e-5)


@pytest.mark.parametrize("name", ["identity", "pool 2", "grey", "old photo"])
def test_the_noise_that_pooling_leaves(name: str) -> None:
    A, _ = LOCAL[name]
    clean = torch.zeros(400, 3, *SIZE)
    y = A(clean)
    coarse = coarsen(Problem(A, y + 0.3 * white(y.shape), 0.3), 2)
    seen = torch.ones_like(coarse.y) if coarse.operator.sampled is None else coarse.operator.sampled.expand_as(coarse.y)
    assert float(coarse.y[seen > 0].std()) == pytest.approx(coarse.sigma, rel=0.05)


def test_a_coarse_pixel_is_known_when_all_its_children_are() -> None:
    coarse = coarsen(Problem(Mask(KEEP), KEEP * white((1, 1, *SIZE))), 4)
    expected = torch.ones(6, 4)
    expected[0:3, 1:3] = 0  # rows 3-8 and columns 5-11 touch these
    assert torch.equal(coarse.operator.keep, expected)
    assert not coarse.y[..., expected == 0].any()


@pytest.mark.parametrize(("factor", "kind", "rest"), [(2, AveragePool, 1), (4, Identity, 1), (8, Identity, 2)])
def test_super_resolution_divides_its_factor(factor: int, kind: type, rest: int) -> None:
    A = AveragePool(4, (24, 16))
    coarse = coarsen(Problem(A, A(white((1, 1, 24, 16))), 0.2), factor)
    assert isinstance(coarse.operator, kind) and coarse.sigma == pytest.approx(0.2 / rest)


def test_codecs_and_pooling_commute() -> None:
    x = white((1, 3, *SIZE))
    problem, codec = Problem(Mask(KEEP) @ Grayscale(), (Mask(KEEP) @ Grayscale())(x), 0.1), Interval(-2.0, 5.0)
    one, other = coarsen(problem, 2).encoded(codec), coarsen(problem.encoded(codec), 2)
    close(one.y, other.y)
    assert one.sigma == pytest.approx(other.sigma)
    z = white((1, 1, *SIZE), torch.complex64)
    seen = coarsen(Problem(Mask(KEEP), KEEP * z).encoded(ComplexChannels(3.0)), 2)
    close(seen.operator(AveragePool(2, SIZE)(ComplexChannels(3.0).encode(z))), seen.y)


@pytest.mark.parametrize(("A", "factor", "error", "words"), [
    (SingleCoil(torch.ones(1, 16)), 2, TypeError, "SingleCoil has no coarser form"),
    (AveragePool(4, SIZE) @ Mask(KEEP), 2, TypeError, "Composed has no coarser form"),
    (AveragePool(4, (24, 16)), 3, ValueError, "must be a multiple of the other"),
    (Mask(KEEP), 5, ValueError, "multiple of the factor"),
    (Crop(SIZE, (12, 8), (1, 4)), 2, ValueError, "must be multiples of the factor"),
])
def test_what_has_no_coarser_form_says_so(A: LinearOperator, factor: int, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        coarsen(Problem(A, A(torch.zeros(1, 1, *SIZE))), factor)
