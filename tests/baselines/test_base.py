"""What holds for every baseline."""

import numpy as np
import pytest
import torch
from helpers.slices import ALL, error, scan

from medrestore.baselines import CGSense, ZeroFilled
from medrestore.errors import InputError
from medrestore.operators import Sense, SmoothPhase


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("size", [(45, 38), (44, 37)])
def test_image_lies_where_it_was(baseline, size):
    """Full sampling without noise gives the image back, so centring and the coils' conjugates are right in odd sizes too."""
    kspace, maps, mask, image = scan(*size, noise_std=0, mask=torch.ones(1, size[1]))
    found = baseline.reconstruct(kspace, maps, mask)
    assert found.shape == image.shape and found.dtype == torch.complex64
    assert error(found, image) < 0.02


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_image_scales_with_the_data(baseline):
    kspace, maps, mask, _ = scan()
    image = baseline.reconstruct(kspace, maps, mask)
    assert error(baseline.reconstruct(1e-6 * kspace, maps, mask) * 1e6, image) < 1e-4


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_repeatable_and_without_side_effects(baseline):
    kspace, maps, mask, _ = scan(24, 20)
    copies, state = [x.clone() for x in (kspace, maps, mask)], np.random.get_state()[1].copy()
    first, again = (baseline.reconstruct(kspace, maps, mask) for _ in range(2))
    assert torch.equal(first, again)
    assert all(torch.equal(x, copy) for x, copy in zip((kspace, maps, mask), copies, strict=True))
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_what_the_mask_leaves_out_is_ignored(baseline):
    kspace, maps, mask, _ = scan(24, 20)
    image = baseline.reconstruct(kspace, maps, mask)
    assert torch.allclose(baseline.reconstruct(kspace + 3 * (1 - mask), maps, mask), image, atol=1e-6)
    assert torch.allclose(baseline.reconstruct(kspace, maps, mask.expand(24, 20)), image, atol=1e-6)


@pytest.mark.parametrize("baseline", ALL, ids=lambda b: type(b).__name__)
def test_an_empty_slice_is_empty(baseline):
    kspace, maps, mask, _ = scan(12, 10)
    assert not baseline.reconstruct(torch.zeros_like(kspace), maps, mask).any()


def test_conjugate_views_are_read():
    kspace, maps, mask, _ = scan(24, 20)
    baseline = CGSense(1e-3)
    views = (kspace.conj().resolve_conj().conj(), maps.conj().resolve_conj().conj())
    assert torch.equal(baseline.reconstruct(*views, mask), baseline.reconstruct(kspace, maps, mask))


def test_bad_slices_are_refused():
    kspace, maps, mask, _ = scan(12, 10)
    bad = [
        ((kspace[0], maps, mask), "one slice"),
        ((kspace.real, maps, mask), "one slice"),
        ((kspace, maps[:, :3], mask), "coil maps"),
        ((kspace, maps, mask[0]), "mask is"),
        ((kspace, maps, mask * 0.5), "0 or 1"),
        ((kspace, maps, mask * 0), "at least one sample"),
        ((kspace * torch.nan, maps, mask), "not finite"),
        ((kspace, maps * torch.inf, mask), "not finite"),
        ((kspace, maps * 0, mask), "zero everywhere"),
    ]
    for inputs, sentence in bad:
        for baseline in ALL:
            with pytest.raises(InputError, match=sentence):
                baseline.reconstruct(*inputs)


def test_zero_filling_holds_no_phase():
    kspace, maps, mask, _ = scan(24, 20)
    ones = torch.ones(1, 1, 24, 20)
    with pytest.raises(InputError, match="ZeroFilled holds no phase; take CG-SENSE, total variation or L1-wavelet"):
        ZeroFilled().in_phase(SmoothPhase(Sense(maps, mask), ones + 0j, ones), kspace)
    assert [one.holds_phase for one in ALL] == [not isinstance(one, ZeroFilled) for one in ALL]
