"""Complex arrays as k-space, and k-space files that are refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.io import read_kspace

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "kspace"


real = pytest.mark.skipif(not DATA.is_dir(), reason="the scans are not here")


def complex_normal(seed, *shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def same(kspace, array):
    return torch.equal(kspace[0], torch.from_numpy(np.ascontiguousarray(array)))


def refused(path, match, **options):
    with pytest.raises(InputError, match=match) as caught:
        read_kspace(path, **options)
    text = str(caught.value)
    assert os.path.basename(path) in text and text.endswith(".") and "\n" not in text
