"""The Walsh-Hadamard transform."""

import scipy.linalg
import scipy.ndimage
import torch
from laws import close

from medrestore.operators.compressed import walsh_hadamard


def test_walsh_hadamard_is_the_hadamard_matrix() -> None:
    matrix = scipy.linalg.hadamard(16) / 4
    close(walsh_hadamard(torch.eye(16)), torch.from_numpy(matrix).float())
