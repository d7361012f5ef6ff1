"""Which part of k-space is covered: sides left out on purpose are told from masks that miss an end by chance."""

import pytest
import torch

from medrestore.io.kspace.coverage import Coverage
from medrestore.mri import radial, sampling_mask, spiral


def lines(size: int, first: int, last: int) -> torch.Tensor:
    mask = torch.zeros(1, size)
    mask[:, first : last + 1] = 1
    return mask


@pytest.mark.parametrize(("size", "first", "last", "share"), [
    (96, 24, 95, 0.75), (96, 0, 71, 0.75), (256, 96, 255, 0.625), (95, 0, 94, 1.0), (96, 0, 95, 1.0), (96, 1, 95, 1.0),
])
def test_partial_fourier(size: int, first: int, last: int, share: float) -> None:
    covered = Coverage.of(lines(size, first, last))
    assert covered is not None and covered.columns.share == pytest.approx(share, abs=0.02)
    assert covered.is_partial == (share < 1) and not covered.columns.is_interpolated
    assert (f"{share:.0%} of the phase encodes are covered" in " ".join(covered.sentences())) == (share < 1)


def test_partial_fourier_of_an_accelerated_scan() -> None:
    mask = lines(96, 24, 95) * sampling_mask("uniform1d", (64, 96), 3, acs=16, seed=0).mask
    covered = Coverage.of(mask)
    assert covered is not None and covered.columns.share == pytest.approx(0.75, abs=0.03)


def test_an_asymmetric_echo() -> None:
    mask = torch.zeros(80, 64)
    mask[20:] = 1
    covered = Coverage.of(mask)
    assert covered is not None and covered.sentences() == (
        "One side of k-space was left out (asymmetric echo): 75% of the readout are covered.",)
    assert "partial Fourier" in covered.sentences(("partitions", "phase encodes"))[0]


def test_zero_filled_interpolation() -> None:
    mask = torch.zeros(128, 128)
    mask[24:104, 16:112] = 1
    covered = Coverage.of(mask)
    assert covered is not None and not covered.is_partial
    ends = [sentence.split(": ")[1] for sentence in covered.sentences()]
    assert ends == ["80 of 128 were acquired.", "96 of 128 were acquired."]


@pytest.mark.parametrize("kind", ["uniform1d", "equispaced", "magic", "poisson2d", "uniform2d"])
def test_masks_that_leave_nothing_out_on_purpose(kind: str) -> None:
    for seed in range(3):
        covered = Coverage.of(sampling_mask(kind, (96, 80), 4, seed=seed).mask)
        assert covered is not None and covered.sentences() == ()


def test_along_a_trajectory() -> None:
    for whole in (radial(48, (96, 80)), radial(24, (48, 48)), spiral(12, (96, 80))):
        covered = Coverage.of_points(whole, torch.ones(whole.shape[:2]), (96, 80))
        assert covered is not None and covered.sentences() == ()
    half = radial(48, (96, 80))
    mask = (half[..., 1] > -10).float()
    covered = Coverage.of_points(half, mask, (96, 80))
    assert covered is not None and covered.is_partial and covered.sentences() == (
        "One side of k-space was left out (partial Fourier): 62% of the columns are covered.",)


def test_no_sample_at_all() -> None:
    assert Coverage.of(torch.zeros(1, 8)) is None
    assert Coverage.of_points(torch.zeros(2, 3, 2), torch.zeros(2, 3), (8, 8)) is None
    assert Coverage.of_points(torch.full((2, 3, 2), 99.0), torch.ones(2, 3), (8, 8)) is None
