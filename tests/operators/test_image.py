"""Operators on pixels and neighbourhoods."""

import pytest
import torch
from helpers.operators import generator, pixels
from laws import close, white

from medrestore.operators import (
    AveragePool,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    WalshHadamard,
    sample_pixels,
)


@pytest.mark.parametrize(
    ("after", "size"),
    [
        (Identity(), (8, 6)),
        (Grayscale(), (8, 6)),
        (AveragePool(2, (8, 6)) @ Grayscale(), (4, 3)),
    ],
    ids=["plain", "grey", "coarse grey"],
)
def test_one_mask_for_each_image(after: LinearOperator, size: tuple[int, int]) -> None:
    x, keep = white((3, 3, 8, 6)), pixels(3, 1, *size)
    whole = Mask(keep) @ after
    for k in range(3):
        one = Mask(keep[k, 0]) @ after
        close(whole(x)[k : k + 1], one(x[k : k + 1]))
        close(whole.pinv(whole(x))[k : k + 1], one.pinv(one(x[k : k + 1])))


def test_sampling_is_exact_and_repeatable() -> None:
    first, again, other = (sample_pixels((9, 11), 0.37, generator=generator(seed)).keep for seed in (3, 3, 4))
    assert first.sum() == round(0.37 * 99) and first.shape == (9, 11)
    assert torch.equal(first, again) and not torch.equal(first, other)
    kept = WalshHadamard.random((8, 8), 0.3, generator=generator()).kept
    assert len(kept) == round(0.3 * 64) == len(kept.unique()) and 0 in kept


def test_pooling_and_grey_are_means() -> None:
    x = white((1, 3, 8, 12))
    close(AveragePool(4, (8, 12))(x), torch.nn.functional.avg_pool2d(x, 4))
    close(Grayscale()(x), x.mean(1, keepdim=True))
