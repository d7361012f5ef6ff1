"""Streams and images for the tests of augmentation."""

import torch
from torch import Tensor

from medrestore.datasets import images


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def head(*size: int) -> Tensor:
    return images({"kind": "phantoms", "count": 1, "size": list(size)})[0]
