"""Kernels as outputs of a network."""

import pytest
import torch

from medrestore.errors import InputError
from medrestore.inversion.kernels import KernelNetwork, kernel_correlation, off_centre
from medrestore.operators import gaussian_kernel, motion_kernel


def network(seed: int = 0, size: int = 9) -> KernelNetwork:
    return KernelNetwork(size, generator=torch.Generator().manual_seed(seed))


def test_a_kernel_is_non_negative_and_of_sum_one_and_that_of_its_seed() -> None:
    kernel = network()()
    assert kernel.shape == (9, 9) and bool((kernel > 0).all()) and float(kernel.sum().detach()) == pytest.approx(1)
    assert torch.equal(kernel, network()()) and not torch.equal(kernel, network(1)())


def test_it_learns_any_kernel() -> None:
    drawn, wanted = network(), torch.nn.functional.pad(motion_kernel(6.0, 30.0), (1, 1, 1, 1))
    adam = torch.optim.Adam(drawn.weights, 2e-3)
    for _ in range(150):
        adam.zero_grad()
        (drawn() - wanted).square().sum().backward()
        adam.step()
    assert kernel_correlation(drawn(), wanted) > 0.98


def test_the_correlation_forgives_shifts_and_sizes_alone() -> None:
    a = torch.zeros(15, 15)
    a[5:14, 1:10] = gaussian_kernel(1.0)
    assert kernel_correlation(a, gaussian_kernel(1.0)) == pytest.approx(1, abs=1e-6)
    assert kernel_correlation(3 * a, a) == pytest.approx(1, abs=1e-6)
    flat = torch.full((9, 9), 1 / 81)
    assert kernel_correlation(gaussian_kernel(1.0), flat) < 0.5
    assert kernel_correlation(motion_kernel(8.0, 0.0), motion_kernel(8.0, 90.0)) < 0.4
    assert off_centre(a) == (2, -2) and off_centre(flat) == (0, 0)


@pytest.mark.parametrize("size", [1, 4])
def test_sides_are_odd(size: int) -> None:
    with pytest.raises(InputError, match="odd number of at least 3"):
        network(size=size)
