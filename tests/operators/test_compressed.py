"""The Walsh-Hadamard transform."""

import pytest
import scipy.linalg
import torch
from laws import close, white

from medrestore.operators.compressed import BlockWalsh, walsh_hadamard


def test_walsh_hadamard_is_the_hadamard_matrix() -> None:
    matrix = scipy.linalg.hadamard(16) / 4
    close(walsh_hadamard(torch.eye(16)), torch.from_numpy(matrix).float())


def test_blocks_are_transformed_each_on_its_own() -> None:
    """Blocks of 4 x 4, and what is left of a side in blocks of 2 and 1."""
    order, x = torch.randperm(16, generator=torch.Generator().manual_seed(1)), white((2, 1, 7, 8))
    y = BlockWalsh((7, 8), order)(x)
    close(y[..., :4, 4:], walsh_hadamard(x[..., :4, 4:].flatten(-2)[..., order]).reshape(2, 1, 4, 4))
    short = order[order < 8]
    close(y[..., 4:6, :4], walsh_hadamard(x[..., 4:6, :4].flatten(-2)[..., short]).reshape(2, 1, 2, 4))
    close(y[..., 0, 0], x[..., :4, :4].mean((-2, -1)) * 4)  # the first coefficient of a block is its mean
    here = slice(4, 7), slice(0, 4)
    close(BlockWalsh((7, 8), order).restrict(here)(x[(..., *here)]), y[(..., *here)])
    with pytest.raises(ValueError, match="cuts through blocks"):
        BlockWalsh((7, 8), order).restrict((slice(2, 7), slice(0, 8)))


def test_blocks_must_be_squares_of_powers_of_two() -> None:
    with pytest.raises(ValueError, match="powers of two"):
        BlockWalsh((8, 8), torch.arange(9))
