"""Problems with holes in a field whose law is known, and how they are tiled."""

import torch
from helpers.fields import Field, Size, natural
from torch import Tensor

from medrestore.levels import karras
from medrestore.noise import Noise
from medrestore.operators import (
    LinearOperator,
)
from medrestore.problem import Problem

WINDOW: Size = (8, 8)


LADDER = karras(8, 10.0, 0.05)


SIZE: Size = (20, 28)


def holes(size: Size = SIZE) -> Tensor:
    keep = torch.ones(size)
    keep[3:7, 2:6] = 0
    keep[9:19, 12:24] = 0
    return keep


def problem(A: LinearOperator, sigma: float = 0.0, channels: int = 1, size: Size = SIZE) -> Problem:
    prior = Field(natural(), channels)
    y = A(prior.draw(size, Noise([1])((1, channels, *size))))
    return Problem(A, y + sigma * (1 if A.sampled is None else A.sampled) * Noise([2])(y.shape), sigma)
